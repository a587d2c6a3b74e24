/*
 * Volet, the camera as a library: push the sensor's pictures, pull redacted frames and annotations.
 *
 * Written by cbindgen from edge/capi/src; do not edit. docs/c-interface.md explains, edge/capi/examples/redact.c shows.
 *
 * Raw pictures go in and never come out: what is pulled was redacted, and whatever goes wrong within gives a frame that is
 * wholly covered, with the reason, or an error.
 *
 * Frames come out some pictures after they went in: a face that is found later also covers the frames before. That is
 * tracker.delay of the settings (8 where nothing is said), and one more for each search thread. volet_camera_finish lets the
 * last ones out.
 *
 * Threads: every function may be called from any thread at any time; push from one thread and pull from another at the
 * same time. Pictures that several threads push at once come out in some order. A camera does not survive fork: open it in
 * the child. The library's own threads block the signals that the thread which calls volet_camera_open blocks.
 *
 * Memory: a camera holds at most frames_waiting + tracker.delay + every * search_threads + 6 raw frames (every: of the
 * settings, 1 where nothing is said) and frames_out redacted ones, besides the detector. Every frame's memory is used again.
 *
 * Errors: negative results. A camera that was closed and a frame that was released are recognised and give VOLET_HANDLE, but
 * a frame's address may be that of a later frame again.
 *
 * Undefined, as everywhere in C: pointers that are neither NULL nor lead to what their type says, strings without an end, planes
 * of fewer rows or bytes than width, height and strides say, memory of arguments that is changed during a call, and reading a
 * frame that was released.
 */

#ifndef VOLET_H
#define VOLET_H

#include <stddef.h>
#include <stdint.h>

/**
 * A timeout that never ends. Other timeouts are milliseconds; 0 does not wait.
 */
#define VOLET_FOREVER -1

/**
 * What became of a call. Negative values are errors; volet_error_message says what and what to do.
 */
enum VoletResult
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  VOLET_OK = 0,
  /**
   * Push: as many frames wait as may. Pull, push again, or leave the frame out.
   */
  VOLET_FULL = 1,
  /**
   * Pull: no frame is ready yet.
   */
  VOLET_EMPTY = 2,
  /**
   * Pull: all frames were pulled and no more come.
   */
  VOLET_END = 3,
  /**
   * An argument that cannot be right: a NULL pointer, another size of a structure, a stride shorter than a row.
   */
  VOLET_ARGUMENT = -1,
  /**
   * A size out of bounds, or not the one that the camera was opened for.
   */
  VOLET_GEOMETRY = -2,
  /**
   * The settings are no TOML of this shape, or out of range.
   */
  VOLET_SETTINGS = -3,
  /**
   * The model cannot be read, is not what its manifest says, or cannot run at this size.
   */
  VOLET_MODEL = -4,
  /**
   * Pushed after volet_camera_finish or volet_camera_stop.
   */
  VOLET_STATE = -5,
  /**
   * The camera was closed, or the frame released; or neither was ever given out.
   */
  VOLET_HANDLE = -6,
  /**
   * The stream broke off. Frames before that can still be pulled; open another camera to go on.
   */
  VOLET_BROKEN = -7,
  /**
   * The system has no more threads.
   */
  VOLET_SYSTEM = -8,
  /**
   * A fault of the library. Nothing raw came out. Please report it.
   */
  VOLET_INTERNAL = -9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum VoletResult VoletResult;
#else
typedef int32_t VoletResult;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How samples lie in memory.
 */
enum VoletFormat
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Plane 0: Y. Plane 1: U and V in turn, halved both ways.
   */
  VOLET_FORMAT_NV12 = 1,
  /**
   * Plane 0: Y. Planes 1 and 2: U and V, halved both ways.
   */
  VOLET_FORMAT_I420 = 2,
  /**
   * Plane 0: Y0 U Y1 V. The width is even.
   */
  VOLET_FORMAT_YUYV = 3,
  /**
   * Plane 0: Y.
   */
  VOLET_FORMAT_GREY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum VoletFormat VoletFormat;
#else
typedef uint32_t VoletFormat;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a thing is. The numbers are those of the category ids in Volet's COCO files.
 */
enum VoletClass
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A human face: hairline to chin, ear to ear.
   */
  VOLET_CLASS_FACE = 1,
  /**
   * A whole person.
   */
  VOLET_CLASS_PERSON = 2,
  /**
   * A car, lorry, bicycle or motorcycle.
   */
  VOLET_CLASS_VEHICLE = 3,
  /**
   * An animal.
   */
  VOLET_CLASS_ANIMAL = 4,
  /**
   * A parcel.
   */
  VOLET_CLASS_PARCEL = 5,
  /**
   * A licence plate.
   */
  VOLET_CLASS_PLATE = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum VoletClass VoletClass;
#else
typedef uint32_t VoletClass;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a box came about.
 */
enum VoletOrigin
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The detector found it in this very frame.
   */
  VOLET_ORIGIN_DETECTED = 1,
  /**
   * Between two detections.
   */
  VOLET_ORIGIN_INTERPOLATED = 2,
  /**
   * After the last detection.
   */
  VOLET_ORIGIN_HELD = 3,
  /**
   * Before the first detection.
   */
  VOLET_ORIGIN_BACK_FILLED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum VoletOrigin VoletOrigin;
#else
typedef uint32_t VoletOrigin;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How samples map to colours. With a wrong one the detector sees other contrasts.
 */
enum VoletColor
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Limited range; BT.709 from 720 lines on, BT.601 below.
   */
  VOLET_COLOR_BY_HEIGHT = 0,
  /**
   * BT.601, luma 16 to 235.
   */
  VOLET_COLOR_BT601_LIMITED = 1,
  /**
   * BT.601, luma 0 to 255 (JPEG).
   */
  VOLET_COLOR_BT601_FULL = 2,
  /**
   * BT.709, luma 16 to 235.
   */
  VOLET_COLOR_BT709_LIMITED = 3,
  /**
   * BT.709, luma 0 to 255.
   */
  VOLET_COLOR_BT709_FULL = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum VoletColor VoletColor;
#else
typedef uint32_t VoletColor;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A camera that is open. Only its address is of use.
 */
typedef struct VoletCamera VoletCamera;

/**
 * How to open a camera. What is 0 or NULL is as its field says; so set the whole structure to 0 first.
 */
typedef struct VoletOptions {
  /**
   * sizeof(VoletOptions).
   */
  size_t size;
  /**
   * A VoletFormat.
   */
  uint32_t format;
  /**
   * Pixels across, 1 to 16384; all frames of a camera have one size. At most 67108864 pixels in all.
   */
  uint32_t width;
  /**
   * Pixels down, 1 to 16384.
   */
  uint32_t height;
  /**
   * A VoletColor.
   */
  uint32_t color;
  /**
   * Settings as `volet-edge --config` reads them: the text of a TOML file, UTF-8. NULL: all as usual.
   */
  const char *settings;
  /**
   * Path of the detector's manifest, UTF-8. NULL: the built-in detector.
   */
  const char *model;
  /**
   * Searches at a time, each on a thread of its own, 1 to 64. 0: 1.
   */
  uint32_t search_threads;
  /**
   * Frames that may wait to be searched, 1 to 256. 0: 4.
   */
  uint32_t frames_waiting;
  /**
   * Frames that may be ready to be pulled, or pulled and not released, 1 to 256. 0: 4.
   */
  uint32_t frames_out;
} VoletOptions;

/**
 * A picture of the sensor's, to be pushed.
 */
typedef struct VoletPicture {
  /**
   * sizeof(VoletPicture).
   */
  size_t size;
  /**
   * Pixels across, as the camera was opened for.
   */
  uint32_t width;
  /**
   * Pixels down, as the camera was opened for.
   */
  uint32_t height;
  /**
   * When it was taken, in microseconds of a clock of your choice. It comes back with the redacted frame.
   */
  uint64_t timestamp_us;
  /**
   * First sample of each plane of the format; others are not looked at.
   */
  const uint8_t *planes[3];
  /**
   * Bytes from one row of each plane to the next. 0: rows without padding.
   */
  size_t strides[3];
} VoletPicture;

/**
 * Something that was found. Its box is in pixels from the frame's left top corner, and inside the frame.
 */
typedef struct VoletAnnotation {
  /**
   * What it is.
   */
  VoletClass object_class;
  /**
   * Whether it was seen in this frame or is known from others.
   */
  VoletOrigin origin;
  /**
   * The same for one thing in all frames, from 1; 0 where there is none.
   */
  uint32_t track_id;
  /**
   * How sure the detector was, 0 to 1.
   */
  float score;
  /**
   * Left edge.
   */
  float x;
  /**
   * Top edge.
   */
  float y;
  /**
   * Width.
   */
  float width;
  /**
   * Height.
   */
  float height;
} VoletAnnotation;

/**
 * A redacted frame. It is yours to read until you release it, also after its camera was closed.
 */
typedef struct VoletFrame {
  /**
   * Its number: pushed frames counted from 0.
   */
  uint64_t index;
  /**
   * The timestamp of the picture that was pushed.
   */
  uint64_t timestamp_us;
  /**
   * How samples lie in memory: as the camera was opened.
   */
  VoletFormat format;
  /**
   * Pixels across.
   */
  uint32_t width;
  /**
   * Pixels down.
   */
  uint32_t height;
  /**
   * First sample of each plane; NULL where the format has no such plane.
   */
  const uint8_t *planes[3];
  /**
   * Bytes from one row of each plane to the next.
   */
  size_t strides[3];
  /**
   * Bytes of all planes, which follow each other without padding from planes[0] on.
   */
  size_t bytes;
  /**
   * Pixels that were destroyed.
   */
  uint64_t covered_pixels;
  /**
   * Why the whole frame was covered, in English; NULL where it was not.
   */
  const char *covered_because;
  /**
   * What was found; NULL where nothing was.
   */
  const struct VoletAnnotation *annotations;
  /**
   * How many there are.
   */
  size_t annotation_count;
} VoletFrame;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Opens a camera: loads the detector, makes it ready for frames of this size and starts the threads.
 *
 * Writes the camera to `camera`, or NULL where it fails. Close it with volet_camera_close.
 */
VoletResult volet_camera_open(const struct VoletOptions *options, struct VoletCamera **camera);

/**
 * Copies a picture and hands it to the camera. The picture's memory is yours again when the call returns.
 *
 * Waits up to `timeout_ms` for room, and then says VOLET_FULL: the picture was not taken.
 */
VoletResult volet_camera_push(struct VoletCamera *camera, const struct VoletPicture *picture, int32_t timeout_ms);

/**
 * Gives the next redacted frame, in the order in which pictures were pushed. Release it with volet_frame_release.
 *
 * Waits up to `timeout_ms` for one, and then says VOLET_EMPTY. Says VOLET_END after the last. Writes the frame to `frame`,
 * or NULL where there is none.
 */
VoletResult volet_camera_pull(struct VoletCamera *camera,
                              const struct VoletFrame **frame,
                              int32_t timeout_ms);

/**
 * Gives a frame back. Its memory is used for others from now on. NULL is nothing to give back.
 */
VoletResult volet_frame_release(const struct VoletFrame *frame);

/**
 * Says that no more pictures come, so that those which still wait come out. Said again, nothing happens.
 */
VoletResult volet_camera_finish(struct VoletCamera *camera);

/**
 * Ends the stream at once: whoever waits in push or pull returns, and frames that were not pulled are lost. After it,
 * push says VOLET_STATE and pull VOLET_END.
 */
VoletResult volet_camera_stop(struct VoletCamera *camera);

/**
 * Stops and closes a camera; allowed at any time, from any thread, also while others wait in push or pull. Returns when searches
 * that were begun have ended, or their deadline has passed. Frames that were pulled stay until they are released. NULL is
 * nothing to close.
 */
VoletResult volet_camera_close(struct VoletCamera *camera);

/**
 * What was wrong with this thread's last call that gave an error, in English, with what to do about it; "" where none did.
 * The text stands until this thread's next call that gives an error.
 */
const char *volet_error_message(void);

/**
 * The version of the library, as "0.1.0".
 */
const char *volet_version(void);

/**
 * The name of a class as annotation files have it: "face"; NULL where there is no such class.
 */
const char *volet_class_name(uint32_t object_class);

/**
 * The name of an origin as annotation files have it: "detected"; NULL where there is no such origin.
 */
const char *volet_origin_name(uint32_t origin);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VOLET_H */
