//! Writes a contact sheet: `sheet OUT.png [FIRST_SEED] [COLUMNS] [ROWS] [WIDTH] [HEIGHT] [boxes] [clip]
//! [bodies=DIR] [share=0.6]`.
//! With `clip`, two frames a second of the clip with the first seed; otherwise stills of consecutive seeds.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use image::{GenericImage, Rgb, RgbImage};
use volet_synthetic::{Bodies, Clip, Generator, ObjectClass};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u32| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let out = arguments.first().map_or("sheet.png", String::as_str);
    let (columns, rows, width, height) = (number(2, 4), number(3, 4), number(4, 640), number(5, 384));
    let share = arguments.iter().find_map(|argument| argument.strip_prefix("share=")?.parse().ok());
    let share = share.unwrap_or(Generator::SHARE);
    let boxes = arguments.iter().any(|argument| argument == "boxes");
    let clip = arguments.iter().any(|argument| argument == "clip");
    let generator = match arguments.iter().find_map(|argument| argument.strip_prefix("bodies=")) {
        Some(folder) => {
            let start = Instant::now();
            let bodies = Bodies::load(Path::new(folder))?;
            println!("mesh {} in {:.0} ms", bodies.hash(), start.elapsed().as_secs_f64() * 1e3);
            Generator::with_bodies(Arc::new(bodies), share)
        }
        None => Generator::default(),
    };
    let story = Clip::with(&generator, u64::from(number(1, 0)), width, height, 2, columns * rows);
    let mut sheet = RgbImage::new(columns * width, rows * height);
    for index in 0..columns * rows {
        let start = Instant::now();
        let seed = u64::from(number(1, 0) + index);
        let mut made = if clip { story.frame(index) } else { generator.still(seed, width, height) };
        let faces = made.objects.iter().filter(|object| object.class == ObjectClass::Face).count();
        println!("seed {seed}: {:.1} ms, {faces} faces", start.elapsed().as_secs_f64() * 1e3);
        for object in made.objects.iter().filter(|_| boxes) {
            let colour = match (object.class, object.ignore) {
                (_, true) => Rgb([128, 128, 128]),
                (ObjectClass::Face, _) => Rgb([0, 255, 0]),
                (ObjectClass::Person, _) => Rgb([40, 120, 255]),
                (ObjectClass::Vehicle, _) => Rgb([255, 160, 0]),
                (ObjectClass::Animal, _) => Rgb([255, 0, 255]),
                (ObjectClass::Parcel, _) => Rgb([0, 255, 255]),
            };
            frame(&mut made.image, object.bbox, colour);
        }
        sheet.copy_from(&made.image, index % columns * width, index / columns * height)?;
    }
    Ok(sheet.save(out)?)
}

fn frame(image: &mut RgbImage, [x, y, w, h]: [f32; 4], colour: Rgb<u8>) {
    let (right, bottom) = (image.width() - 1, image.height() - 1);
    let (x0, y0) = ((x as u32).min(right), (y as u32).min(bottom));
    let (x1, y1) = (((x + w) as u32).min(right), ((y + h) as u32).min(bottom));
    for at in x0..=x1 {
        image.put_pixel(at, y0, colour);
        image.put_pixel(at, y1, colour);
    }
    for at in y0..=y1 {
        image.put_pixel(x0, at, colour);
        image.put_pixel(x1, at, colour);
    }
}
