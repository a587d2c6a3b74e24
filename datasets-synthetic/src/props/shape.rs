//! Solids that things are made of: lathe work, blocks, rings, leaves. Knows nothing of what they stand for.

use std::f32::consts::TAU;

use glam::{Mat3, Vec3};

use crate::body::Builder;
use crate::raster::{Sheet, Triangle, Vertex};

impl Builder<'_> {
    /// A surface of revolution about the axes' y through (height, radius) pairs; `squash` flattens it along z.
    pub(crate) fn lathe(&mut self, part: u32, centre: Vec3, axes: Mat3, profile: &[(f32, f32)], squash: f32) {
        let widest = profile.iter().fold(0.0_f32, |most, (_, r)| most.max(*r));
        let around = self.segments(widest * 4.0, 10, 44);
        let view = self.view;
        self.geometry.grid(part, around, profile.len(), Sheet::Solid, |i, j| {
            let (height, radius) = profile[j];
            let (sin, cos) = (TAU * i as f32 / around as f32).sin_cos();
            let local = Vec3::new(radius * sin, height, radius * cos * squash);
            (view.project(centre + axes * local), local)
        });
    }

    /// A box with sharp edges; local coordinates are those of the box, with its middle as the origin.
    pub(crate) fn block(&mut self, part: u32, centre: Vec3, axes: Mat3, half: Vec3) {
        let view = self.view;
        let sides = [
            (Vec3::X, Vec3::Y, Vec3::Z),
            (Vec3::NEG_X, Vec3::Z, Vec3::Y),
            (Vec3::Y, Vec3::Z, Vec3::X),
            (Vec3::NEG_Y, Vec3::X, Vec3::Z),
            (Vec3::Z, Vec3::X, Vec3::Y),
            (Vec3::NEG_Z, Vec3::Y, Vec3::X),
        ];
        for (out, u, v) in sides {
            let n = view.turn * axes * out;
            let normal = Vec3::new(n.x, -n.y, n.z);
            let base = self.geometry.vertices.len() as u32;
            for (a, b) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
                let local = (out + u * a + v * b) * half;
                self.geometry.vertices.push(Vertex { pos: view.project(centre + axes * local), normal, local });
            }
            let [p, q, r] = [0, 1, 2].map(|i| self.geometry.vertices[base as usize + i].pos);
            // Seen from outside the corners run against the clock, which turns with the picture's y.
            if (q - p).cross(r - p).z < 0.0 {
                for corners in [[0, 1, 2], [0, 2, 3]] {
                    self.geometry.triangles.push(Triangle { corners: corners.map(|i| base + i), part });
                }
            }
        }
    }

    /// A ring about the axes' z.
    pub(crate) fn ring(&mut self, part: u32, centre: Vec3, axes: Mat3, radius: f32, thick: f32) {
        let around = self.segments(radius * 4.0, 12, 40);
        let across = self.segments(thick * 6.0, 5, 12);
        let view = self.view;
        self.geometry.grid(part, around, across + 1, Sheet::Solid, |i, j| {
            let (sin, cos) = (TAU * i as f32 / around as f32).sin_cos();
            let (up, out) = (TAU * j as f32 / across as f32).sin_cos();
            let r = radius + thick * out;
            let local = Vec3::new(r * cos, r * sin, thick * up);
            (view.project(centre + axes * local), local)
        });
    }

    /// A round plate that looks along the axes' z.
    pub(crate) fn plate(&mut self, part: u32, centre: Vec3, axes: Mat3, radii: (f32, f32), thick: f32) {
        let segments = self.segments(radii.0.max(radii.1) * 4.0, 10, 40);
        self.ellipsoid(part, centre, axes, Vec3::new(radii.0, radii.1, thick), segments);
    }

    /// A straight rod of even thickness.
    pub(crate) fn rod(&mut self, part: u32, from: Vec3, to: Vec3, thick: f32) {
        let across = (to - from).cross(Vec3::new(0.31, 0.17, 0.93)).normalize_or(Vec3::X);
        let around = self.segments(thick * 5.0, 5, 16);
        self.tube(part, around, across, &[(from, thick, thick), (to, thick, thick)]);
    }

    /// A flat sheet from `at(u, v)` with u and v in -1..1: leaves, petals, cloth, boards.
    pub(crate) fn sheet(&mut self, part: u32, (nu, nv): (usize, usize), at: impl Fn(f32, f32) -> (Vec3, Vec3)) {
        let (view, first) = (self.view, self.geometry.vertices.len());
        self.geometry.grid(part, nu, nv, Sheet::Open, |i, j| {
            let (u, v) = (i as f32 / (nu - 1) as f32 * 2.0 - 1.0, j as f32 / (nv - 1) as f32 * 2.0 - 1.0);
            let (p, local) = at(u, v);
            (view.project(p), local)
        });
        // A flat sheet has no outside: the side that shows is the one that looks at the viewer.
        let sheet = &mut self.geometry.vertices[first..];
        if sheet.iter().map(|vertex| vertex.normal.z).sum::<f32>() < 0.0 {
            for vertex in sheet {
                vertex.normal = -vertex.normal;
            }
        }
    }
}
