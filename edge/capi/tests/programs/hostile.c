/*
 * Calls the library as it must not be called, and in orders that it must live with. Ends with 0 where each call said what it
 * should. Run plainly, under valgrind and with sanitizers by main.rs beside it.
 */
#define _POSIX_C_SOURCE 200809L

#include <volet.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define W 64
#define H 48

static int wrong;
/* Of exactly so many bytes, so that a read behind their end is seen. */
static uint8_t *luma, *chroma;

static void expect_at(int line, const char *call, VoletResult result, VoletResult expected)
{
    if (result != expected) {
        fprintf(stderr, "line %d: %s gave %d, not %d (%s)\n", line, call, (int)result, (int)expected, volet_error_message());
        wrong = 1;
    }
    if (result < 0 && volet_error_message()[0] == 0) {
        fprintf(stderr, "line %d: %s gave no message\n", line, call);
        wrong = 1;
    }
}
#define EXPECT(call, expected) expect_at(__LINE__, #call, (call), (expected))
#define HOLDS(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: not %s\n", __LINE__, #condition); \
            wrong = 1; \
        } \
    } while (0)

static VoletOptions usual(void)
{
    return (VoletOptions){.size = sizeof(VoletOptions), .format = VOLET_FORMAT_NV12, .width = W, .height = H};
}

static VoletPicture picture(void)
{
    return (VoletPicture){
        .size = sizeof(VoletPicture), .width = W, .height = H, .timestamp_us = UINT64_MAX, .planes = {luma, chroma}};
}

static VoletCamera *opened(const VoletOptions *options)
{
    VoletCamera *camera;
    EXPECT(volet_camera_open(options, &camera), VOLET_OK);
    HOLDS(camera != NULL);
    return camera;
}

static void options_that_are_wrong(void)
{
    VoletCamera *camera = (VoletCamera *)&wrong;
    VoletOptions options = usual();
    EXPECT(volet_camera_open(NULL, &camera), VOLET_ARGUMENT);
    HOLDS(camera == NULL);
    EXPECT(volet_camera_open(&options, NULL), VOLET_ARGUMENT);
    EXPECT(volet_camera_open((const VoletOptions *)((const char *)&options + 1), &camera), VOLET_ARGUMENT);

#define WITH(field, value, expected) \
    do { \
        VoletOptions changed = usual(); \
        changed.field = (value); \
        EXPECT(volet_camera_open(&changed, &camera), expected); \
        HOLDS(camera == NULL); \
    } while (0)
    WITH(size, 0, VOLET_ARGUMENT);
    WITH(size, sizeof options - 1, VOLET_ARGUMENT);
    WITH(size, SIZE_MAX, VOLET_ARGUMENT);
    WITH(format, 0, VOLET_ARGUMENT);
    WITH(format, UINT32_MAX, VOLET_ARGUMENT);
    WITH(color, 5, VOLET_ARGUMENT);
    WITH(width, 0, VOLET_GEOMETRY);
    WITH(height, 0, VOLET_GEOMETRY);
    WITH(width, 16385, VOLET_GEOMETRY);
    WITH(height, UINT32_MAX, VOLET_GEOMETRY);
    WITH(search_threads, 65, VOLET_ARGUMENT);
    WITH(frames_waiting, 257, VOLET_ARGUMENT);
    WITH(frames_out, UINT32_MAX, VOLET_ARGUMENT);
    WITH(settings, "every = ", VOLET_SETTINGS);
    WITH(settings, "every = 0", VOLET_SETTINGS);
    WITH(settings, "[redaction]\nclasses = []", VOLET_SETTINGS);
    WITH(settings, "\xff\xfe", VOLET_ARGUMENT);
    WITH(model, "/nowhere/model.toml", VOLET_MODEL);
    WITH(model, "\xff", VOLET_ARGUMENT);
    options.width = options.height = 16384;
    EXPECT(volet_camera_open(&options, &camera), VOLET_GEOMETRY);
    options = usual();
    options.format = VOLET_FORMAT_YUYV;
    options.width = W - 1;
    EXPECT(volet_camera_open(&options, &camera), VOLET_GEOMETRY);
}

static void handles_that_are_wrong(void)
{
    VoletPicture given = picture();
    const VoletFrame *frame = (const VoletFrame *)&wrong;
    VoletCamera *strangers[] = {NULL, (VoletCamera *)&given, (VoletCamera *)(uintptr_t)UINTPTR_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        EXPECT(volet_camera_push(strangers[i], &given, 0), VOLET_HANDLE);
        EXPECT(volet_camera_pull(strangers[i], &frame, VOLET_FOREVER), VOLET_HANDLE);
        HOLDS(frame == NULL);
        EXPECT(volet_camera_finish(strangers[i]), VOLET_HANDLE);
        EXPECT(volet_camera_stop(strangers[i]), VOLET_HANDLE);
    }
    EXPECT(volet_camera_close(NULL), VOLET_OK);
    EXPECT(volet_camera_close((VoletCamera *)&given), VOLET_HANDLE);
    EXPECT(volet_frame_release(NULL), VOLET_OK);
    EXPECT(volet_frame_release((const VoletFrame *)&given), VOLET_HANDLE);

    VoletOptions options = usual();
    VoletCamera *camera = opened(&options);
    EXPECT(volet_camera_close(camera), VOLET_OK);
    EXPECT(volet_camera_push(camera, &given, 0), VOLET_HANDLE);
    EXPECT(volet_camera_close(camera), VOLET_HANDLE);
}

static void pictures_that_are_wrong(void)
{
    VoletOptions options = usual();
    VoletCamera *camera = opened(&options);
    EXPECT(volet_camera_push(camera, NULL, 0), VOLET_ARGUMENT);
    EXPECT(volet_camera_pull(camera, NULL, 0), VOLET_ARGUMENT);
#define PUSHED(field, value, expected) \
    do { \
        VoletPicture changed = picture(); \
        changed.field = (value); \
        EXPECT(volet_camera_push(camera, &changed, VOLET_FOREVER), expected); \
    } while (0)
    PUSHED(size, 0, VOLET_ARGUMENT);
    PUSHED(size, sizeof changed + 8, VOLET_ARGUMENT);
    PUSHED(width, 0, VOLET_GEOMETRY);
    PUSHED(width, W + 2, VOLET_GEOMETRY);
    PUSHED(height, UINT32_MAX, VOLET_GEOMETRY);
    PUSHED(planes[0], NULL, VOLET_ARGUMENT);
    PUSHED(planes[1], NULL, VOLET_ARGUMENT);
    PUSHED(strides[0], W - 1, VOLET_ARGUMENT);
    PUSHED(strides[1], 1, VOLET_ARGUMENT);
    PUSHED(strides[0], SIZE_MAX, VOLET_ARGUMENT);
    PUSHED(strides[0], SIZE_MAX / 2, VOLET_ARGUMENT);
    PUSHED(strides[1], (size_t)PTRDIFF_MAX / 20, VOLET_ARGUMENT);
    /* None of them was taken, and nothing is the matter with the camera. */
    PUSHED(planes[2], (const uint8_t *)(uintptr_t)1, VOLET_OK);
    EXPECT(volet_camera_finish(camera), VOLET_OK);
    const VoletFrame *frame;
    EXPECT(volet_camera_pull(camera, &frame, VOLET_FOREVER), VOLET_OK);
    HOLDS(frame && frame->index == 0 && frame->timestamp_us == UINT64_MAX && frame->planes[2] == NULL);
    EXPECT(volet_frame_release(frame), VOLET_OK);
    EXPECT(volet_frame_release(frame), VOLET_HANDLE);
    EXPECT(volet_camera_pull(camera, &frame, VOLET_FOREVER), VOLET_END);
    EXPECT(volet_camera_close(camera), VOLET_OK);
}

static void orders_that_are_odd(void)
{
    VoletOptions options = usual();
    VoletPicture given = picture();
    const VoletFrame *frame;

    /* Finished before it began, and twice. */
    VoletCamera *camera = opened(&options);
    EXPECT(volet_camera_pull(camera, &frame, 0), VOLET_EMPTY);
    HOLDS(frame == NULL);
    EXPECT(volet_camera_finish(camera), VOLET_OK);
    EXPECT(volet_camera_finish(camera), VOLET_OK);
    EXPECT(volet_camera_push(camera, &given, VOLET_FOREVER), VOLET_STATE);
    EXPECT(volet_camera_pull(camera, &frame, VOLET_FOREVER), VOLET_END);
    EXPECT(volet_camera_pull(camera, &frame, 0), VOLET_END);
    EXPECT(volet_camera_stop(camera), VOLET_OK);
    EXPECT(volet_camera_close(camera), VOLET_OK);

    /* Nobody pulls: no more than may wait are taken. */
    options.frames_waiting = options.frames_out = 1;
    options.settings = "tracker.delay = 1";
    camera = opened(&options);
    int taken = 0;
    VoletResult result;
    while ((result = volet_camera_push(camera, &given, 200)) == VOLET_OK && taken < 20)
        taken++;
    EXPECT(result, VOLET_FULL);
    EXPECT(volet_camera_finish(camera), VOLET_OK);
    /* One is held while its camera is closed. */
    EXPECT(volet_camera_pull(camera, &frame, VOLET_FOREVER), VOLET_OK);
    EXPECT(volet_camera_close(camera), VOLET_OK);
    if (frame) {
        unsigned sum = 0;
        for (size_t i = 0; i < frame->bytes; i++)
            sum += frame->planes[0][i];
        HOLDS(sum != 0 && frame->bytes == W * H * 3 / 2);
    }
    EXPECT(volet_frame_release(frame), VOLET_OK);
}

static void *wait_for_a_frame(void *camera)
{
    const VoletFrame *frame;
    VoletResult result = volet_camera_pull(camera, &frame, VOLET_FOREVER);
    /* Which of the two depends on who was first. */
    HOLDS(result == VOLET_END || result == VOLET_HANDLE);
    return NULL;
}

static void closed_while_another_waits(void)
{
    VoletOptions options = usual();
    VoletCamera *camera = opened(&options);
    pthread_t waiting;
    if (pthread_create(&waiting, NULL, wait_for_a_frame, camera) != 0)
        abort();
    EXPECT(volet_camera_close(camera), VOLET_OK);
    pthread_join(waiting, NULL);
}

/* Every layout, with rows far apart, and whatever lies between them. */
static void layouts(void)
{
    const struct {
        uint32_t format;
        size_t row[3], rows[3];
    } all[] = {
        {VOLET_FORMAT_NV12, {W, W}, {H, H / 2}},
        {VOLET_FORMAT_I420, {W, W / 2, W / 2}, {H, H / 2, H / 2}},
        {VOLET_FORMAT_YUYV, {2 * W}, {H}},
        {VOLET_FORMAT_GREY, {W}, {H}},
    };
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        VoletOptions options = usual();
        options.format = all[n].format;
        VoletCamera *camera = opened(&options);
        VoletPicture given = {.size = sizeof given, .width = W, .height = H};
        uint8_t *planes[3] = {NULL};
        for (int p = 0; p < 3 && all[n].rows[p]; p++) {
            size_t stride = all[n].row[p] + 24;
            /* The last row has no padding. */
            size_t bytes = stride * (all[n].rows[p] - 1) + all[n].row[p];
            planes[p] = malloc(bytes);
            if (!planes[p])
                abort();
            memset(planes[p], 255, bytes);
            for (size_t y = 0; y < all[n].rows[p]; y++)
                memset(planes[p] + y * stride, 60 + p, all[n].row[p]);
            given.planes[p] = planes[p];
            given.strides[p] = stride;
        }
        EXPECT(volet_camera_push(camera, &given, VOLET_FOREVER), VOLET_OK);
        for (int p = 0; p < 3; p++)
            free(planes[p]);
        EXPECT(volet_camera_finish(camera), VOLET_OK);
        const VoletFrame *frame;
        EXPECT(volet_camera_pull(camera, &frame, VOLET_FOREVER), VOLET_OK);
        if (frame) {
            HOLDS(frame->format == all[n].format && frame->covered_because == NULL);
            size_t total = 0;
            for (int p = 0; p < 3 && all[n].rows[p]; p++) {
                total += all[n].row[p] * all[n].rows[p];
                for (size_t y = 0; y < all[n].rows[p]; y++)
                    for (size_t x = 0; x < all[n].row[p]; x++)
                        if (frame->planes[p][y * frame->strides[p] + x] == 255)
                            HOLDS(!"padding came out");
            }
            HOLDS(frame->bytes == total);
        }
        EXPECT(volet_frame_release(frame), VOLET_OK);
        EXPECT(volet_camera_close(camera), VOLET_OK);
    }
}

int main(void)
{
    luma = malloc(W * H);
    chroma = malloc(W * H / 2);
    if (!luma || !chroma)
        return 1;
    memset(luma, 90, W * H);
    memset(chroma, 128, W * H / 2);
    HOLDS(volet_error_message()[0] == 0);
    HOLDS(strchr(volet_version(), '.') != NULL);
    HOLDS(strcmp(volet_class_name(VOLET_CLASS_FACE), "face") == 0 && volet_class_name(0) == NULL);
    HOLDS(strcmp(volet_origin_name(VOLET_ORIGIN_HELD), "held") == 0 && volet_origin_name(99) == NULL);
    options_that_are_wrong();
    handles_that_are_wrong();
    pictures_that_are_wrong();
    orders_that_are_odd();
    closed_while_another_waits();
    layouts();
    free(luma);
    free(chroma);
    return wrong;
}
