//! The head as a map over longitude and latitude: what lets hair, hats and masks made for the built-in head sit on a
//! head of the mesh. Knows nothing of what is worn.

use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use glam::Vec3;

use crate::math::smooth;

const COLUMNS: usize = 72;
const ROWS: usize = 40;

/// A surface point as a weighted sum of vertices; two triangles where the surface is bridged.
pub(super) type Cell = [(u32, f32); 6];

/// One person's head over the grid.
#[derive(Clone, Debug)]
pub(crate) struct HeadMap {
    /// Where the average head has these points: the coordinates that everything is painted and cut out in.
    rest: Arc<Vec<Vec3>>,
    /// From there to where this head has them.
    shift: Vec<Vec3>,
}

/// Where the rays of a row start: the head's axis, which bends forward to the chin.
fn axis(y: f32) -> Vec3 {
    Vec3::new(0.0, y, 0.3 * smooth(0.0, -0.5, y))
}

/// Height and direction of a grid point's ray, as the built-in head's longitude and latitude have it.
fn ray(column: usize, row: usize) -> (f32, Vec3) {
    let longitude = TAU * column as f32 / COLUMNS as f32 - PI;
    let latitude = PI * (0.5 - row as f32 / (ROWS - 1) as f32);
    let direction = Vec3::new(0.335 * longitude.sin(), 0.0, 0.42 * longitude.cos()).normalize_or(Vec3::Z);
    ((0.5 * latitude.sin()).clamp(-0.488, 0.488), direction)
}

/// Finds each grid point on the average head: the outermost point of these triangles on its ray.
pub(super) fn cells(local: &[Vec3], triangles: &[[u32; 3]]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(COLUMNS * ROWS);
    for row in 0..ROWS {
        let (y, _) = ray(0, row);
        let near: Vec<&[u32; 3]> = triangles
            .iter()
            .filter(|triangle| {
                let heights = triangle.map(|corner| local[corner as usize].y);
                heights.iter().any(|h| *h >= y) && heights.iter().any(|h| *h <= y)
            })
            .collect();
        let pole = match row {
            0 => Some((Vec3::ZERO, Vec3::Y)),
            _ if row + 1 == ROWS => Some((axis(-0.4), Vec3::NEG_Y)),
            _ => None,
        };
        let hits: Vec<Option<[(u32, f32); 3]>> = match pole {
            Some((from, direction)) => {
                let every: Vec<&[u32; 3]> = triangles.iter().filter(|t| local[t[0] as usize].z > -0.2).collect();
                vec![outermost(local, &every, from, direction); COLUMNS]
            }
            None => (0..COLUMNS).map(|column| outermost(local, &near, axis(y), ray(column, row).1)).collect(),
        };
        for column in 0..COLUMNS {
            let found =
                |step: &dyn Fn(usize) -> usize| (0..COLUMNS).find_map(|n| hits[step(n)].map(|hit| (n as f32, hit)));
            let left = found(&|n| (column + COLUMNS - n) % COLUMNS);
            let right = found(&|n| (column + n) % COLUMNS);
            let mut cell = [(0, 0.0); 6];
            if let (Some((a, left)), Some((b, right))) = (left, right) {
                // Both are the point itself, unless an ear or nothing is there.
                let share = if a + b > 0.0 { a / (a + b) } else { 0.0 };
                for corner in 0..3 {
                    cell[corner] = (left[corner].0, left[corner].1 * (1.0 - share));
                    cell[corner + 3] = (right[corner].0, right[corner].1 * share);
                }
            }
            cells.push(cell);
        }
    }
    cells
}

fn outermost(local: &[Vec3], triangles: &[&[u32; 3]], from: Vec3, direction: Vec3) -> Option<[(u32, f32); 3]> {
    let mut best = None;
    let mut farthest = 0.05;
    for triangle in triangles {
        let [a, b, c] = triangle.map(|corner| local[corner as usize]);
        let (ab, ac) = (b - a, c - a);
        let across = direction.cross(ac);
        let determinant = ab.dot(across);
        if determinant.abs() < 1e-9 {
            continue;
        }
        let to = from - a;
        let u = to.dot(across) / determinant;
        let q = to.cross(ab);
        let v = direction.dot(q) / determinant;
        let distance = ac.dot(q) / determinant;
        if u >= -1e-4 && v >= -1e-4 && u + v <= 1.0002 && distance > farthest {
            farthest = distance;
            best = Some([(triangle[0], 1.0 - u - v), (triangle[1], u), (triangle[2], v)]);
        }
    }
    best
}

/// The cells' places for these vertices.
pub(super) fn places(cells: &[Cell], points: &[Vec3]) -> Vec<Vec3> {
    let place = |cell: &Cell| cell.iter().map(|(vertex, weight)| points[*vertex as usize] * *weight).sum();
    cells.iter().map(place).collect()
}

impl HeadMap {
    pub(super) fn new(rest: &Arc<Vec<Vec3>>, cells: &[Cell], points: &[Vec3]) -> Self {
        let shift = places(cells, points).into_iter().zip(rest.iter()).map(|(place, rest)| place - *rest).collect();
        Self { rest: Arc::clone(rest), shift }
    }

    /// The average head's surface point, and from there to this head's.
    pub(crate) fn at(&self, longitude: f32, latitude: f32) -> (Vec3, Vec3) {
        let across = (longitude + PI).rem_euclid(TAU) / TAU * COLUMNS as f32;
        let down = ((0.5 - latitude / PI) * (ROWS - 1) as f32).clamp(0.0, (ROWS - 1) as f32);
        let (column, row) = (across as usize % COLUMNS, (down as usize).min(ROWS - 2));
        let (s, t) = (across.fract(), down - row as f32);
        let corners = [row * COLUMNS + column, row * COLUMNS + (column + 1) % COLUMNS];
        let blend = |of: &[Vec3]| {
            let upper = of[corners[0]].lerp(of[corners[1]], s);
            upper.lerp(of[corners[0] + COLUMNS].lerp(of[corners[1] + COLUMNS], s), t)
        };
        (blend(&self.rest), blend(&self.shift))
    }

    /// The head under a cloth that spans its hollows: for masks.
    pub(crate) fn draped(&self) -> Self {
        let offset = |at: usize| self.rest[at] + self.shift[at] - axis(self.rest[at].y + self.shift[at].y);
        let reach: Vec<f32> = (0..COLUMNS * ROWS).map(|at| offset(at).length()).collect();
        let get = |of: &[f32], column: isize, row: isize| {
            let row = row.clamp(0, ROWS as isize - 1) as usize;
            of[row * COLUMNS + column.rem_euclid(COLUMNS as isize) as usize]
        };
        let each = |f: &dyn Fn(isize, isize) -> f32| -> Vec<f32> {
            (0..COLUMNS * ROWS).map(|at| f((at % COLUMNS) as isize, (at / COLUMNS) as isize)).collect()
        };
        // Tents over what stands out, along and across, then smoothed.
        let wide = each(&|c, r| (-5..=5).map(|n| get(&reach, c + n, r) - 0.0032 * (n * n) as f32).fold(0.0, f32::max));
        let tall = each(&|c, r| (-4..=4).map(|n| get(&wide, c, r + n) - 0.0036 * (n * n) as f32).fold(0.0, f32::max));
        let soft = each(&|c, r| {
            let around = [-1, 0, 1].map(|n| get(&tall, c + n, r) + get(&tall, c, r + n));
            around.iter().sum::<f32>() / 6.0
        });
        let shift = (0..COLUMNS * ROWS)
            .map(|at| {
                let grown = (soft[at] / reach[at].max(0.05)).clamp(1.0, 1.2);
                self.shift[at] + offset(at) * (grown - 1.0)
            })
            .collect();
        Self { rest: Arc::clone(&self.rest), shift }
    }
}
