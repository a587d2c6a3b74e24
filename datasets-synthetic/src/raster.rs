//! Triangles in picture coordinates, and the buffer that says which one each sample sees.
//! Knows nothing of what the triangles show.
//!
//! Picture coordinates: x right and y down in pixels, z towards the viewer in the same unit.

use glam::Vec3;

use crate::material::Material;
use crate::math::ceil;

/// Samples per pixel along each axis.
pub(crate) const SUB: usize = 2;
/// No triangle: the background shows.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub(crate) struct Vertex {
    pub(crate) pos: Vec3,
    pub(crate) normal: Vec3,
    /// Coordinates of the part's own rest shape, in which materials paint.
    pub(crate) local: Vec3,
}

/// What a part belongs to, as far as visibility goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// The head, and what is worn on a face without making it less of one: masks, glasses, beards.
    Head,
    /// Hair and hats: they hide the face they hang over.
    Hair,
    /// The rest of a person.
    Body,
    /// Things.
    Prop,
    /// Where something is, drawn or not: never seen, followed by lenses, measured for the truth.
    Outline,
}

pub(crate) struct Part {
    pub(crate) material: Material,
    /// Person index, or [`NONE`].
    pub(crate) owner: u32,
    pub(crate) group: Group,
    /// Pixels per unit of `local`, for level of detail.
    pub(crate) unit: f32,
    /// Share of the air's colour mixed in by distance.
    pub(crate) haze: f32,
}

/// How a grid of points closes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sheet {
    /// All four edges are free; both sides show.
    Open,
    /// The last column joins the first; both sides show.
    Ring,
    /// As a ring, and only the outside can be seen.
    Solid,
}

pub(crate) struct Triangle {
    pub(crate) corners: [u32; 3],
    pub(crate) part: u32,
}

#[derive(Default)]
pub(crate) struct Geometry {
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) triangles: Vec<Triangle>,
    pub(crate) parts: Vec<Part>,
}

impl Geometry {
    pub(crate) fn part(&mut self, part: Part) -> u32 {
        self.parts.push(part);
        self.parts.len() as u32 - 1
    }

    /// Adds a surface sampled on a grid: `at(i, j)` gives picture position and local coordinates for
    /// `i < nu`, `j < nv`. Normals come from neighbours.
    pub(crate) fn grid(
        &mut self,
        part: u32,
        nu: usize,
        nv: usize,
        sheet: Sheet,
        mut at: impl FnMut(usize, usize) -> (Vec3, Vec3),
    ) {
        let wrap = sheet != Sheet::Open;
        let base = self.vertices.len();
        let mut centre = Vec3::ZERO;
        for j in 0..nv {
            for i in 0..nu {
                let (pos, local) = at(i, j);
                centre += pos;
                self.vertices.push(Vertex { pos, normal: Vec3::ZERO, local });
            }
        }
        centre /= (nu * nv) as f32;
        let index = |i: usize, j: usize| base + j * nu + i;
        let mut outward = 0.0;
        for j in 0..nv {
            for i in 0..nu {
                let (left, right) = match wrap {
                    true => ((i + nu - 1) % nu, (i + 1) % nu),
                    false => (i.saturating_sub(1), (i + 1).min(nu - 1)),
                };
                let du = self.vertices[index(right, j)].pos - self.vertices[index(left, j)].pos;
                let dv =
                    self.vertices[index(i, (j + 1).min(nv - 1))].pos - self.vertices[index(i, j.saturating_sub(1))].pos;
                let vertex = &mut self.vertices[index(i, j)];
                let normal = dv.cross(du);
                outward += normal.dot(vertex.pos - centre);
                vertex.normal = normal;
            }
        }
        let sign = if outward < 0.0 { -1.0 } else { 1.0 };
        for vertex in &mut self.vertices[base..] {
            let out = (vertex.pos - centre).normalize_or(Vec3::Z);
            vertex.normal = (vertex.normal * sign).normalize_or(out);
        }
        let columns = if wrap { nu } else { nu - 1 };
        for j in 0..nv - 1 {
            for i in 0..columns {
                let n = (i + 1) % nu;
                let [a, b, c, d] = [index(i, j), index(n, j), index(n, j + 1), index(i, j + 1)].map(|v| v as u32);
                for corners in [[a, b, c], [a, c, d]] {
                    let seen = sheet != Sheet::Solid || {
                        let [p, q, r] = corners.map(|corner| self.vertices[corner as usize].pos);
                        (((r - q).cross(q - p)).z * sign) > 0.0
                    };
                    if seen {
                        self.triangles.push(Triangle { corners, part });
                    }
                }
            }
        }
    }

    /// The two screen edge vectors of a triangle, and its first corner.
    pub(crate) fn corner_positions(&self, triangle: &Triangle) -> [Vec3; 3] {
        triangle.corners.map(|corner| self.vertices[corner as usize].pos)
    }

    /// Normal and local coordinates at a picture point of a triangle (extrapolated when just outside).
    pub(crate) fn interpolate(&self, triangle: &Triangle, x: f32, y: f32) -> (Vec3, Vec3) {
        let [a, b, c] = triangle.corners.map(|corner| &self.vertices[corner as usize]);
        let area = (b.pos.x - a.pos.x) * (c.pos.y - a.pos.y) - (c.pos.x - a.pos.x) * (b.pos.y - a.pos.y);
        let wb = (((x - a.pos.x) * (c.pos.y - a.pos.y) - (c.pos.x - a.pos.x) * (y - a.pos.y)) / area).clamp(-0.2, 1.2);
        let wc = (((b.pos.x - a.pos.x) * (y - a.pos.y) - (x - a.pos.x) * (b.pos.y - a.pos.y)) / area).clamp(-0.2, 1.2);
        let wa = 1.0 - wb - wc;
        let normal = a.normal * wa + b.normal * wb + c.normal * wc;
        (normal.normalize_or(Vec3::Z), a.local * wa + b.local * wb + c.local * wc)
    }
}

/// For each sample the nearest triangle and its depth.
pub(crate) struct Visibility {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) depth: Vec<f32>,
    pub(crate) triangle: Vec<u32>,
}

impl Visibility {
    /// Rasterises everything over a picture of this size in pixels.
    pub(crate) fn new(geometry: &Geometry, width: usize, height: usize) -> Self {
        let (width, height) = (width * SUB, height * SUB);
        let mut buffer = Self {
            width,
            height,
            depth: vec![f32::NEG_INFINITY; width * height],
            triangle: vec![NONE; width * height],
        };
        for (index, triangle) in geometry.triangles.iter().enumerate() {
            if geometry.parts[triangle.part as usize].group == Group::Outline {
                continue;
            }
            buffer.draw(index as u32, geometry.corner_positions(triangle));
        }
        buffer
    }

    /// The triangle seen at a picture point, if the point is inside the picture.
    pub(crate) fn at(&self, x: f32, y: f32) -> Option<u32> {
        let (sx, sy) = ((x * SUB as f32).floor(), (y * SUB as f32).floor());
        let inside = sx >= 0.0 && sy >= 0.0 && sx < self.width as f32 && sy < self.height as f32;
        inside.then(|| self.triangle[sy as usize * self.width + sx as usize])
    }

    fn draw(&mut self, index: u32, corners: [Vec3; 3]) {
        let scale = SUB as f32;
        let [a, b, c] = corners.map(|p| Vec3::new(p.x * scale - 0.5, p.y * scale - 0.5, p.z));
        let area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
        if !area.is_finite() || area.abs() < 1e-6 {
            return;
        }
        let (min_y, max_y) = (a.y.min(b.y).min(c.y), a.y.max(b.y).max(c.y));
        let (min_x, max_x) = (a.x.min(b.x).min(c.x), a.x.max(b.x).max(c.x));
        if max_x < 0.0 || max_y < 0.0 || min_x > self.width as f32 || min_y > self.height as f32 {
            return;
        }
        let dzdx = ((b.z - a.z) * (c.y - a.y) - (c.z - a.z) * (b.y - a.y)) / area;
        let dzdy = ((c.z - a.z) * (b.x - a.x) - (b.z - a.z) * (c.x - a.x)) / area;
        let first = ceil(min_y).max(0) as usize;
        let last = (max_y.min(self.height as f32 - 1.0) as usize).min(self.height - 1);
        for row in first..=last {
            let y = row as f32;
            let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
            for (p, q) in [(a, b), (b, c), (c, a)] {
                if (p.y <= y) != (q.y <= y) {
                    let x = p.x + (q.x - p.x) * (y - p.y) / (q.y - p.y);
                    low = low.min(x);
                    high = high.max(x);
                }
            }
            if low > high {
                continue;
            }
            let (start, end) = (ceil(low).max(0) as usize, ceil(high.min(self.width as f32)).max(0) as usize);
            if end <= start {
                continue;
            }
            let mut z = a.z + dzdx * (start as f32 - a.x) + dzdy * (y - a.y);
            let line = row * self.width;
            for at in line + start..line + end {
                if z > self.depth[at] {
                    self.depth[at] = z;
                    self.triangle[at] = index;
                }
                z += dzdx;
            }
        }
    }
}
