/*
 * Redacts raw NV12 video, as firmware does that has a sensor on one side and an encoder on the other: one thread pushes,
 * another pulls.
 *
 *   redact [-a ANNOTATIONS] [-c SETTINGS] [-m MANIFEST] [-r RATE] [-t THREADS] WIDTH HEIGHT [INPUT [OUTPUT]]
 *
 * INPUT and OUTPUT are files; "-" and nothing stand for standard input and output. ANNOTATIONS gets one line of JSON for each
 * frame. SETTINGS is a TOML file as `volet-edge --config` reads it. RATE: frames a second, for timestamps (30).
 *
 *   cc -o redact redact.c $(pkg-config --cflags --libs volet) -pthread
 */
#define _POSIX_C_SOURCE 200809L

#include <volet.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct out {
    VoletCamera *camera;
    FILE *video;
    FILE *annotations; /* or NULL */
    int failed;
};

static void complain(const char *what)
{
    fprintf(stderr, "redact: %s: %s\n", what, volet_error_message());
}

/* A string of JSON. The library's texts are UTF-8. */
static void write_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20)
            fprintf(to, "\\u%04x", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void write_annotations(FILE *to, const VoletFrame *frame)
{
    fprintf(to, "{\"index\":%" PRIu64 ",\"timestamp_us\":%" PRIu64 ",\"covered_pixels\":%" PRIu64 ",\"covered_because\":",
            frame->index, frame->timestamp_us, frame->covered_pixels);
    if (frame->covered_because)
        write_string(to, frame->covered_because);
    else
        fputs("null", to);
    fputs(",\"annotations\":[", to);
    for (size_t i = 0; i < frame->annotation_count; i++) {
        const VoletAnnotation *a = &frame->annotations[i];
        fprintf(to, "%s{\"class\":\"%s\",\"origin\":\"%s\",\"track\":%" PRIu32 ",\"score\":%.4f,\"box\":[%.2f,%.2f,%.2f,%.2f]}",
                i ? "," : "", volet_class_name(a->object_class), volet_origin_name(a->origin), a->track_id,
                (double)a->score, (double)a->x, (double)a->y, (double)a->width, (double)a->height);
    }
    fputs("]}\n", to);
}

/* The encoder's side. */
static void *pull_all(void *argument)
{
    struct out *out = argument;
    for (;;) {
        const VoletFrame *frame;
        VoletResult result = volet_camera_pull(out->camera, &frame, VOLET_FOREVER);
        if (result == VOLET_END)
            return NULL;
        if (result != VOLET_OK) {
            complain("pull");
            break;
        }
        /* Planes follow each other without padding; where an encoder has rows of its own, copy them by strides. */
        size_t written = fwrite(frame->planes[0], 1, frame->bytes, out->video);
        if (out->annotations)
            write_annotations(out->annotations, frame);
        int whole = written == frame->bytes;
        volet_frame_release(frame);
        if (!whole) {
            perror("redact: output");
            break;
        }
    }
    out->failed = 1;
    volet_camera_stop(out->camera); /* so that push does not wait for ever */
    return NULL;
}

/* The sensor's side: to the end of the input. */
static int push_all(VoletCamera *camera, FILE *video, uint32_t width, uint32_t height, unsigned rate)
{
    size_t luma = (size_t)width * height;
    size_t row = ((size_t)width + 1) / 2 * 2; /* of U and V in turn */
    size_t bytes = luma + row * ((height + 1) / 2);
    uint8_t *samples = malloc(bytes);
    if (!samples) {
        perror("redact");
        return 1;
    }
    int failed = 0;
    for (uint64_t index = 0;; index++) {
        size_t had = fread(samples, 1, bytes, video);
        if (had < bytes) {
            if (had || ferror(video)) {
                fprintf(stderr, "redact: the input ends within frame %" PRIu64 "\n", index);
                failed = 1;
            }
            break;
        }
        VoletPicture picture = {
            .size = sizeof picture,
            .width = width,
            .height = height,
            .timestamp_us = index * 1000000 / rate,
            .planes = {samples, samples + luma},
            .strides = {width, row},
        };
        /* A live sensor would not wait, and leave the frame out at VOLET_FULL. */
        VoletResult result = volet_camera_push(camera, &picture, VOLET_FOREVER);
        if (result != VOLET_OK) {
            complain("push");
            failed = 1;
            break;
        }
    }
    free(samples);
    volet_camera_finish(camera);
    return failed;
}

static FILE *open_or(const char *path, const char *mode, FILE *standard)
{
    if (!path || strcmp(path, "-") == 0)
        return standard;
    FILE *file = fopen(path, mode);
    if (!file) {
        fprintf(stderr, "redact: ");
        perror(path);
        exit(1);
    }
    return file;
}

/* All of a text file; the caller frees it. */
static char *read_text(const char *path)
{
    FILE *file = open_or(path, "rb", stdin);
    size_t used = 0, size = 1 << 16;
    char *text = malloc(size);
    if (text)
        used = fread(text, 1, size - 1, file);
    if (!text || ferror(file) || !feof(file)) {
        fprintf(stderr, "redact: cannot read %s, or it is larger than 64 kB\n", path);
        exit(1);
    }
    text[used] = 0;
    if (file != stdin)
        fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    VoletOptions options = {.size = sizeof options, .format = VOLET_FORMAT_NV12};
    const char *annotations = NULL;
    char *settings = NULL;
    unsigned rate = 30;
    for (int letter; (letter = getopt(argc, argv, "a:c:m:r:t:")) != -1;) {
        switch (letter) {
        case 'a': annotations = optarg; break;
        case 'c': free(settings); settings = read_text(optarg); break;
        case 'm': options.model = optarg; break;
        case 'r': rate = (unsigned)strtoul(optarg, NULL, 10); break;
        case 't': options.search_threads = (uint32_t)strtoul(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    if (argc - optind < 2 || argc - optind > 4 || rate == 0) {
        fprintf(stderr, "usage: redact [-a ANNOTATIONS] [-c SETTINGS] [-m MANIFEST] [-r RATE] [-t THREADS] WIDTH HEIGHT [INPUT [OUTPUT]]\n");
        return 2;
    }
    options.width = (uint32_t)strtoul(argv[optind], NULL, 10);
    options.height = (uint32_t)strtoul(argv[optind + 1], NULL, 10);
    options.settings = settings;

    struct out out = {0};
    VoletResult result = volet_camera_open(&options, &out.camera);
    free(settings);
    if (result != VOLET_OK) {
        complain("open");
        return 1;
    }
    const char *input = optind + 2 < argc ? argv[optind + 2] : NULL;
    const char *output = optind + 3 < argc ? argv[optind + 3] : NULL;
    FILE *video = open_or(input, "rb", stdin);
    out.video = open_or(output, "wb", stdout);
    out.annotations = annotations ? open_or(annotations, "w", stderr) : NULL;

    pthread_t puller;
    if (pthread_create(&puller, NULL, pull_all, &out) != 0) {
        fprintf(stderr, "redact: no thread\n");
        return 1;
    }
    int failed = push_all(out.camera, video, options.width, options.height, rate);
    pthread_join(puller, NULL);
    volet_camera_close(out.camera);
    if (video != stdin)
        fclose(video);
    if (fclose(out.video) != 0) {
        perror("redact: output");
        failed = 1;
    }
    if (out.annotations && out.annotations != stderr && fclose(out.annotations) != 0) {
        perror("redact: annotations");
        failed = 1;
    }
    return failed || out.failed;
}
