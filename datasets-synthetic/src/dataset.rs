//! A data set in the making: COCO truth, and a card that tells what is in it.
//!
//! Knows no disk and no renderer: it is told about each picture once and keeps only its truth.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};
use strum::VariantArray;

use crate::{Attributes, LightKind, Object, ObjectClass};

/// Truth of many pictures.
#[derive(Debug, Default, Serialize)]
pub struct Dataset {
    info: Info,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    videos: Vec<Video>,
    images: Vec<Image>,
    #[serde(serialize_with = "rows")]
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Debug, Default, Serialize)]
struct Info {
    description: String,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Video {
    id: u32,
    name: String,
    seed: u64,
}

#[derive(Debug, Serialize)]
struct Image {
    id: u32,
    file_name: String,
    width: u32,
    height: u32,
    /// The still's seed; a frame of a clip has its clip's.
    seed: u64,
    light: LightKind,
    #[serde(flatten)]
    place: Option<Place>,
}

/// A frame's place in a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The clip, as [`Dataset::clip`] numbered it.
    pub video_id: u32,
    /// Frame of the clip, from 0.
    pub frame_id: u32,
}

/// Kept small: sets hold millions of them. What a file says beyond this is worked out while it is written.
#[derive(Debug)]
struct Annotation {
    image_id: u32,
    light: LightKind,
    object: Object,
}

#[derive(Serialize)]
struct Row<'a> {
    id: u32,
    image_id: u32,
    category_id: u32,
    bbox: [f32; 4],
    area: f32,
    iscrowd: u8,
    ignore: u8,
    track_id: u32,
    visible: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a Attributes>,
    /// Answers to every question that reports group by.
    groups: BTreeMap<&'static str, &'static str>,
}

fn rows<S: Serializer>(annotations: &[Annotation], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq((1..).zip(annotations).map(|(id, Annotation { image_id, light, object })| Row {
        id,
        image_id: *image_id,
        category_id: object.class as u32 + 1,
        bbox: object.bbox,
        area: object.bbox[2] * object.bbox[3],
        iscrowd: 0,
        ignore: u8::from(object.ignore),
        track_id: object.track_id,
        visible: object.visible,
        attributes: object.attributes.as_ref(),
        groups: groups(object, *light).into_iter().collect(),
    }))
}

#[derive(Debug, Serialize)]
struct Category {
    id: u32,
    name: &'static str,
}

impl ObjectClass {
    /// The class's name in files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Dataset {
    /// An empty data set; `description` goes into the COCO file.
    pub fn new(description: impl Into<String>) -> Self {
        let info = Info { description: description.into(), version: env!("CARGO_PKG_VERSION") };
        let categories =
            (1..).zip(ObjectClass::VARIANTS).map(|(id, class)| Category { id, name: class.name() }).collect();
        Self { info, categories, ..Self::default() }
    }

    /// Announces a clip; returns its number.
    pub fn clip(&mut self, name: impl Into<String>, seed: u64) -> u32 {
        let id = self.videos.len() as u32 + 1;
        self.videos.push(Video { id, name: name.into(), seed });
        id
    }

    /// Adds a picture of `width` x `height` pixels and all that is in it.
    pub fn add(
        &mut self,
        file_name: impl Into<String>,
        (width, height): (u32, u32),
        seed: u64,
        place: Option<Place>,
        light: LightKind,
        objects: &[Object],
    ) {
        let image_id = self.images.len() as u32 + 1;
        self.images.push(Image { id: image_id, file_name: file_name.into(), width, height, seed, light, place });
        let annotations = objects.iter().map(|object| Annotation { image_id, light, object: object.clone() });
        self.annotations.extend(annotations);
    }

    /// Pictures so far.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no picture yet.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// A card in Markdown: how the set was made (`facts`, lines of name and value), what is in it, and what it is
    /// not.
    pub fn card(&self, facts: &[(&str, String)]) -> String {
        let mut card = String::from("# Data set card\n\n");
        card.push_str(
            "Pictures of people who do not exist, rendered by code. No photograph, scan or recording of any ",
        );
        card.push_str("real person or place went into them.\n\n| fact | value |\n|---|---|\n");
        for (name, value) in facts {
            let _ = writeln!(card, "| {name} | {value} |");
        }
        let _ = writeln!(card, "| pictures | {} |", self.images.len());
        if !self.videos.is_empty() {
            let _ = writeln!(card, "| clips | {} |", self.videos.len());
        }
        card.push_str("\n## Objects\n\n| class | counted | ignored |\n|---|---:|---:|\n");
        for class in ObjectClass::VARIANTS {
            let of_class = || self.annotations.iter().filter(|a| a.object.class == *class);
            let ignored = of_class().filter(|a| a.object.ignore).count();
            let _ = writeln!(card, "| {} | {} | {ignored} |", class.name(), of_class().count() - ignored);
        }
        let counted = |a: &&Annotation| a.object.class == ObjectClass::Face && !a.object.ignore;
        let faces: Vec<&Annotation> = self.annotations.iter().filter(counted).collect();
        let mut per_image: BTreeMap<u32, usize> = BTreeMap::new();
        for face in &faces {
            *per_image.entry(face.image_id).or_default() += 1;
        }
        let crowd = |low: usize, high: usize| per_image.values().filter(|n| (low..=high).contains(*n)).count();
        let counts = [
            ("0", self.images.len() - per_image.len()),
            ("1", crowd(1, 1)),
            ("2-4", crowd(2, 4)),
            ("5-19", crowd(5, 19)),
            ("20 or more", crowd(20, usize::MAX)),
        ];
        card.push_str("\n## Faces per picture\n\n| faces | pictures | share |\n|---|---:|---:|\n");
        for (name, count) in counts {
            let _ = writeln!(card, "| {name} | {count} | {:.3} |", count as f32 / self.images.len().max(1) as f32);
        }
        let mut shares: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (question, answer) in faces.iter().flat_map(|f| groups(&f.object, f.light)) {
            *shares.entry(question).or_default().entry(answer).or_default() += 1;
        }
        card.push_str("\n## Faces by attribute\n\nShares of the faces that count.\n\n");
        card.push_str("| attribute | value | faces | share |\n|---|---|---:|---:|\n");
        for (question, answers) in shares {
            for (answer, count) in answers {
                let share = count as f32 / faces.len().max(1) as f32;
                let _ = writeln!(card, "| {question} | {answer} | {count} | {share:.3} |");
            }
        }
        card.push_str("\n## Limits\n\nSkin is given in sixths of the renderer's own range, sex as a habit of drawn ");
        card.push_str("shape; neither is a statement about real populations. Attributes are drawn, not sampled from ");
        card.push_str("any census. What is visible by less than 0.3 or smaller than 5 pixels, a face turned away by ");
        card.push_str("more than 100 degrees or lost in darkness, glare or fog, and everything drawn on posters or ");
        card.push_str("cut in stone is marked `ignore`.\n");
        card
    }
}

/// The group of a box of this height in pixels, as every report has it.
pub fn height_group(pixels: f32) -> &'static str {
    match pixels {
        h if h < 16.0 => "00-16",
        h if h < 32.0 => "16-32",
        h if h < 64.0 => "32-64",
        _ => "64-",
    }
}

/// Question and answer for everything that faces and people are grouped by; answers sort as they should be read.
fn groups(object: &Object, light: LightKind) -> Vec<(&'static str, &'static str)> {
    let bin = |value: f32, edges: &[(f32, &'static str)]| {
        edges.iter().find(|(upper, _)| value < *upper).map_or("more", |(_, name)| *name)
    };
    let shown = [(0.5, "0.3-0.5"), (0.8, "0.5-0.8"), (f32::INFINITY, "0.8-1")];
    let mut all = vec![
        ("light", light.into()),
        ("height", height_group(object.bbox[3])),
        ("visible", bin(object.visible, &shown)),
    ];
    if let Some(a) = &object.attributes {
        let ages = [(6.0, "00-05"), (16.0, "06-15"), (40.0, "16-39"), (65.0, "40-64"), (f32::INFINITY, "65-")];
        let turns = [(30.0, "00-30"), (60.0, "30-60"), (f32::INFINITY, "60-")];
        all.push(("age", bin(f32::from(a.age), &ages)));
        all.push(("skin", ["1", "2", "3", "4", "5", "6"][usize::from(a.skin.clamp(1, 6)) - 1]));
        all.push(("yaw", bin(a.yaw.abs(), &turns)));
        all.push(("pitch", bin(a.pitch.abs(), &turns)));
        all.push(("beard", if a.beard { "yes" } else { "no" }));
        all.extend(a.words());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::still;

    #[test]
    fn the_truth_of_stills_is_whole_and_the_card_adds_up() {
        let mut set = Dataset::new("test");
        let mut faces = 0;
        for seed in 0..12 {
            let made = still(seed, 320, 192);
            faces += made.objects.iter().filter(|o| o.class == ObjectClass::Face && !o.ignore).count();
            set.add(format!("{seed:06}.png"), made.image.dimensions(), seed, None, made.light, &made.objects);
        }
        let json = serde_json::to_value(&set).unwrap();
        assert_eq!(json["images"].as_array().unwrap().len(), 12);
        assert_eq!(json["categories"][0]["name"], "face");
        for annotation in json["annotations"].as_array().unwrap() {
            assert!(annotation["image_id"].as_u64().unwrap() <= 12);
            assert!(annotation["groups"]["height"].is_string());
            assert!(annotation["attributes"]["age"].is_u64() == annotation["groups"]["age"].is_string());
        }
        let card = set.card(&[("seed", "0".to_owned())]);
        assert!(card.contains(&format!("| face | {faces} |")), "{card}");
        let share: f32 = card
            .lines()
            .filter(|line| line.starts_with("| skin |"))
            .map(|line| line.split('|').nth(4).unwrap().trim().parse::<f32>().unwrap())
            .sum();
        assert!((share - 1.0).abs() < 0.01, "skin shares add up to {share}");
    }

    #[test]
    fn an_empty_set_has_a_card() {
        let card = Dataset::new("nothing").card(&[]);
        assert!(card.contains("| pictures | 0 |") && !card.contains("NaN"));
    }
}
