"""Reads what annotation_readers.rs wrote, with the readers of the formats, and compares the counts.

usage: annotation_readers.py OUT SCORE_LEAK.PY
"""
import json
import os
import shutil
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from datumaro.util.image import save_image
from pycocotools.coco import COCO

out, score_leak = sys.argv[1:3]
notes = os.path.join(out, "annotations")
blank = np.zeros((240, 320, 3), np.uint8)


def same(what, found, expected):
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"
    print(f"ok: {what}")


def boxes(dataset):
    return [(i, a) for i in dataset for a in i.annotations if a.type == AnnotationType.bbox]


def class_counts(dataset):
    names = [c.name for c in dataset.categories()[AnnotationType.label]]
    counts = {}
    for _, a in boxes(dataset):
        counts[names[a.label]] = counts.get(names[a.label], 0) + 1
    return counts


# Clip 1 has 10 persons, 9 tracked faces and a lone one; each still has a face and a plate.
COUNTS = {"person": 10, "face": 12, "plate": 2}

# COCO: pycocotools
coco = COCO(os.path.join(notes, "coco.json"))
raw = coco.dataset
same("coco images", len(coco.imgs), 15)
same("coco image ids", sorted(coco.imgs), list(range(1, 16)))
same("coco annotation ids are unique", len(coco.anns), len(raw["annotations"]))
same("coco boxes", len(coco.anns), sum(COUNTS.values()))
for name, count in COUNTS.items():
    same(f"coco {name}", len(coco.getAnnIds(catIds=coco.getCatIds(catNms=[name]))), count)
same("coco videos", [v["frames"] for v in raw["videos"]], [10, 3])
same("coco covered", [i["id"] for i in raw["images"] if "covered" in i], [8])
track = [a["image_id"] for a in raw["annotations"] if a.get("track_id") == 1]
same("coco track", track, [1, 2, 3, 4, 6, 7, 8, 9, 10])
clipped = [a["bbox"] for a in raw["annotations"] if a["image_id"] == 6 and "track_id" not in a]
same("coco clipped box", clipped, [[290.0, 5.0, 30.0, 30.0]])
results = [{k: a[k] for k in ("image_id", "category_id", "bbox", "score")} for a in raw["annotations"]]
same("coco loadRes", len(coco.loadRes(results).anns), sum(COUNTS.values()))

# datumaro wants a layout of its own round each file, with the pictures in it.
def layout(name):
    path = os.path.join(out, "check", name)
    os.makedirs(os.path.join(path, "images"))
    return path


def pictures(folder, names):
    for name in names:
        save_image(os.path.join(folder, name), blank, create_dir=True)


root = layout("coco")
os.makedirs(os.path.join(root, "annotations"))
shutil.copy(os.path.join(notes, "coco.json"), os.path.join(root, "annotations", "instances_default.json"))
pictures(os.path.join(root, "images"), [i["file_name"] for i in raw["images"]])
data = Dataset.import_from(root, "coco")
same("datumaro coco items", len(data), 15)
same("datumaro coco classes", class_counts(data), COUNTS)

root = layout("yolo")
shutil.copytree(os.path.join(notes, "yolo"), root, dirs_exist_ok=True)
pictures(os.path.join(root, "images"), [i["file_name"] for i in raw["images"]])
data = Dataset.import_from(root, "yolo")
same("datumaro yolo items", len(data), 12)
same("datumaro yolo classes", class_counts(data), COUNTS)
truth = sorted(np.round(a["bbox"], 1).tolist() for a in raw["annotations"])
read = sorted(np.round(a.get_bbox(), 1).tolist() for _, a in boxes(data))
assert np.allclose(truth, read, atol=0.11), (truth, read)

root = layout("cvat-images")
shutil.copy(os.path.join(notes, "cvat", "images.xml"), os.path.join(root, "annotations.xml"))
pictures(os.path.join(root, "images"), ["000002.jpg", "000003.png"])
data = Dataset.import_from(root, "cvat")
same("datumaro cvat images", sorted(i.id for i in data), ["000002", "000003"])
same("datumaro cvat image classes", class_counts(data), {"face": 2, "plate": 2})

root = layout("cvat-video")
shutil.copy(os.path.join(notes, "cvat", "clip-0001.mp4.xml"), os.path.join(root, "annotations.xml"))
pictures(os.path.join(root, "images"), [f"frame_{i:06d}.png" for i in range(10)])
data = Dataset.import_from(root, "cvat")
same("datumaro cvat frames", len(data), 10)
shown = [(i, a) for i, a in boxes(data) if not a.attributes["outside"]]
same("datumaro cvat shown boxes", len(shown), 20)
gone = sorted((i.attributes["frame"], a.attributes.get("track")) for i, a in boxes(data) if a.attributes["outside"])
same("datumaro cvat outside", gone, [(4, "1"), (6, None)])
same("datumaro cvat tracks", sorted({a.attributes["track_id"] for _, a in boxes(data)}), [0, 1, 2])

# Label Studio has no light reader: the documented structure (https://labelstud.io/guide/predictions).
stills = json.load(open(os.path.join(notes, "labelstudio.json")))
same("labelstudio images", [t["data"]["image"].rsplit("/", 1)[1] for t in stills], ["000002.jpg", "000003.png"])
for task in stills:
    for r in task["predictions"][0]["result"]:
        v = r["value"]
        assert r["type"] == "rectanglelabels" and v["rectanglelabels"][0] in COUNTS, r
        assert (r["original_width"], r["original_height"], v["rotation"]) == (320, 240, 0), r
        assert 0 <= v["x"] <= v["x"] + v["width"] <= 100 and 0 <= v["y"] <= v["y"] + v["height"] <= 100, r
clips = json.load(open(os.path.join(notes, "labelstudio-video.json")))
same("labelstudio clips", len(clips), 2)
result = clips[0]["predictions"][0]["result"]
same("labelstudio tracks", sorted(len(r["value"]["sequence"]) for r in result), [1, 9, 10])
same("labelstudio ids are unique", len({r["id"] for r in result}), 3)
for r in result:
    v = r["value"]
    assert r["type"] == "videorectangle" and v["framesCount"] == 10 and v["labels"][0] in COUNTS, r
    assert all(1 <= k["frame"] <= 10 and abs(k["time"] - (k["frame"] - 1) * 1001 / 30000) < 1e-6 for k in v["sequence"]), r
same("labelstudio empty clip", clips[1]["predictions"][0]["result"], [])

# Regions: every face of clip 1 is covered by its enlarged ellipse.
if os.path.exists(score_leak):
    truth = {
        "images": [dict(i, frame=i["frame_index"]) for i in raw["images"] if i.get("video_id") == 1],
        "annotations": [a for a in raw["annotations"] if a["category_id"] == 1 and a.get("track_id")],
    }
    path = os.path.join(out, "truth.json")
    json.dump(truth, open(path, "w"))
    said = subprocess.run([sys.executable, score_leak, path, os.path.join(out, "regions.json")], capture_output=True, text=True, check=True)
    score = json.loads(said.stdout)
    same("regions: faces", score["face_frames"], 9)
    same("regions: leak rate", score["ellipse"]["leak_rate"], 0.0)
else:
    print("skipped: score_leak.py is not here")
