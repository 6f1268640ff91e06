/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The timeline as a picture, as `systemd-analyze plot` draws a boot: a bar for each step, from left to right
 * over both kernels, and behind them the longest silence. Times come out of a file: whatever they are, the
 * picture has the same width, and a number of lines on its axis that does not depend on them.
 */

#include "report/report.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "report/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define MARGIN     20.0
#define CHART      1200.0
#define ROW        20.0
#define BAR        16.0
#define TOP        96.0 /* title, two lines and the axis */
#define LEGEND     50.0
#define TICKS_MAX  25.0
#define LABEL_SIZE 128

static const char style[] = "text { font-family: Verdana, 'DejaVu Sans', sans-serif; font-size: 12px; }\n"
                            ".title { font-size: 18px; font-weight: bold; }\n"
                            ".axis { font-size: 11px; fill: #555; }\n"
                            ".grid { stroke: #ddd; stroke-width: 1; }\n"
                            ".gap { fill: #d62728; fill-opacity: 0.08; }\n"
                            ".silent { fill: #f0a0a0; }\n"
                            ".old { fill: #a8c6e8; }\n"
                            ".jump { fill: #c9c9c9; }\n"
                            ".new { fill: #a9d6a0; }\n"
                            ".wait { fill: #f3d68a; }\n";

/* Microseconds since the epoch, as a double: none is too large for it. */
typedef struct Drawing {
        FILE *out;
        double begin, scale; /* pixels for a microsecond */
        double y;            /* of the next row */
} Drawing;

typedef struct Span {
        double begin, length;
} Span;

static Span step_span(const Step *step) {
        return (Span){(double)step->realtime, (double)step->duration};
}

/* Nothing, if the tree was not carried. */
static Span silence(const Tree *tree) {
        const Outcome *outcome = tree->outcome;
        bool known = report_state(tree) == OUTCOME__STATE__CARRIED && outcome->has_gap &&
                     tree->has_frozen_at;

        return known ? (Span){(double)tree->frozen_at, (double)outcome->gap} : (Span){0};
}

static void cover(Span *all, Span span) {
        double end = MAX(all->begin + all->length, span.begin + span.length);

        all->begin = MIN(all->begin, span.begin);
        all->length = end - all->begin;
}

static double x_of(const Drawing *d, double moment) {
        return MARGIN + (moment - d->begin) * d->scale;
}

/* Escaped, and without what XML cannot say. */
static void put_text(FILE *out, const char *text) {
        _cleanup_(freep) char *clean = text_printable(text);

        for (const char *p = clean ?: "?"; *p; p++)
                switch (*p) {
                case '&':
                        fputs("&amp;", out);
                        break;
                case '<':
                        fputs("&lt;", out);
                        break;
                case '>':
                        fputs("&gt;", out);
                        break;
                default:
                        fputc(*p, out);
                }
}

static void label(FILE *out, double x, double y, const char *attributes, const char *text) {
        fprintf(out, "<text x=\"%.2f\" y=\"%.2f\" %s>", x, y, attributes);
        put_text(out, text);
        fputs("</text>\n", out);
}

static void rectangle(FILE *out, const char *class, double x, double y, double width, double height) {
        fprintf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n", class, x,
                y, width, height);
}

/* The text begins with the bar, or ends before it where there would be no room. */
static void row(Drawing *d, const char *class, Span span, const char *text) {
        double x = x_of(d, span.begin), width = span.length * d->scale;
        bool left = x < MARGIN + CHART / 2;

        rectangle(d->out, class, x, d->y, width < 1 ? 1 : width, BAR);
        label(d->out, left ? x + 4 : x - 4, d->y + BAR - 4, left ? "" : "text-anchor=\"end\"", text);
        d->y += ROW;
}

static void duration_text(double usec, char out[static 32]) {
        if (usec >= USEC_PER_SEC)
                snprintf(out, 32, "%.2f s", usec / USEC_PER_SEC);
        else
                snprintf(out, 32, "%.0f ms", usec / USEC_PER_MSEC);
}

static const char *step_class(const Step *step) {
        static const char *const waits[] = {"restore.network", "restore.mounts", "restore.profiles",
                                            "restore.settle", "save.settle"};

        if (strcmp(step->name, "jump.shutdown") == 0 || starts_with(step->name, "boot."))
                return "jump";
        for (size_t i = 0; i < ELEMENTS(waits); i++)
                if (strcmp(step->name, waits[i]) == 0)
                        return "wait";
        return step->after_jump ? "new" : "old";
}

static void step_row(Drawing *d, const Step *step) {
        char text[LABEL_SIZE], took[32];

        duration_text((double)step->duration, took);
        snprintf(text, sizeof text, "%.40s%s%.48s (%s)", step->name, step->tree ? " " : "", step->tree ?: "",
                 took);
        row(d, step_class(step), step_span(step), text);
}

static void silence_row(Drawing *d, const Tree *tree) {
        char text[LABEL_SIZE], took[32];
        Span span = silence(tree);

        if (span.length <= 0)
                return;
        duration_text(span.length, took);
        snprintf(text, sizeof text, "%.60s is silent (%s)", tree->name, took);
        row(d, "silent", span, text);
}

/* 1, 2 or 5 times a power of ten, in microseconds, so that there are not more than TICKS_MAX. */
static double tick_of(double length) {
        double tick = USEC_PER_MSEC;

        while (length / (tick * 5) > TICKS_MAX)
                tick *= 10;
        if (length / tick <= TICKS_MAX)
                return tick;
        return length / (tick * 2) <= TICKS_MAX ? tick * 2 : tick * 5;
}

static void axis(const Drawing *d, double length, double bottom) {
        double tick = tick_of(length);

        for (unsigned i = 0; i * tick <= length; i++) {
                double x = x_of(d, d->begin + i * tick);
                char text[32];

                snprintf(text, sizeof text, "%.6g s", i * tick / USEC_PER_SEC);
                fprintf(d->out, "<line class=\"grid\" x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\"/>\n",
                        x, TOP - 8, x, bottom);
                label(d->out, x, TOP - 12, "class=\"axis\" text-anchor=\"middle\"", text);
        }
}

static void legend(FILE *out, double y) {
        static const struct {
                const char *class, *text;
        } entries[] = {
                        {"old", "in the old kernel"},     {"jump", "between the kernels"},
                        {"new", "in the new kernel"},     {"wait", "waiting"},
                        {"silent", "peers meet silence"},
        };

        for (size_t i = 0; i < ELEMENTS(entries); i++) {
                double x = MARGIN + 190.0 * (double)i;

                rectangle(out, entries[i].class, x, y, BAR, BAR);
                label(out, x + BAR + 6, y + BAR - 4, "", entries[i].text);
        }
}

static int titles(FILE *out, const Ticket *report) {
        _cleanup_(freep) char *headline = report_sentence(report), *below = NULL;
        char moment[REPORT_MOMENT_SIZE];

        if (!headline)
                return -ENOMEM;
        text_moment(report->sealed_at > 0 ? report->sealed_at : report->done_at, true, moment);
        below = text_format("From Linux %s, %s", report->old_kernel, moment);
        if (!below)
                return -ENOMEM;
        label(out, MARGIN, 28, "class=\"title\"", headline);
        label(out, MARGIN, 50, "class=\"axis\"", below);
        return 0;
}

/* Its longest one. */
static Span gap_of(const Ticket *report, size_t *ret_rows) {
        Span gap = {0};

        *ret_rows = 0;
        for (size_t i = 0; i < report->n_trees; i++) {
                Span span = silence(report->trees[i]);

                *ret_rows += span.length > 0;
                if (span.length > gap.length)
                        gap = span;
        }
        return gap;
}

static int draw(Drawing *d, const Ticket *report, Step *const *steps, Span all) {
        size_t silent;
        Span gap = gap_of(report, &silent);
        double bottom = TOP + ROW * (double)(report->n_steps + silent), height = bottom + LEGEND;
        int r;

        fprintf(d->out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\">\n"
                "<style>\n%s</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                CHART + 2 * MARGIN, height, style);
        r = titles(d->out, report);
        if (r < 0)
                return r;
        axis(d, all.length, bottom);
        if (gap.length > 0)
                rectangle(d->out, "gap", x_of(d, gap.begin), TOP - 8, gap.length * d->scale,
                          bottom - TOP + 8);
        for (size_t i = 0; i < report->n_trees; i++)
                silence_row(d, report->trees[i]);
        for (size_t i = 0; i < report->n_steps; i++)
                step_row(d, steps[i]);
        legend(d->out, bottom + 18);
        fputs("</svg>\n", d->out);
        return ferror(d->out) ? err_born(-EIO, "cannot write the picture") : 0;
}

int report_svg(FILE *out, const Ticket *report) {
        _cleanup_(freep) Step **steps = report_steps_sorted(report);
        Drawing d = {.out = out, .y = TOP};
        Span all;

        if (report->n_steps == 0)
                return err_say(-ENODATA, "there is no timeline of this save");
        if (!steps)
                return -ENOMEM;
        all = step_span(steps[0]);
        for (size_t i = 1; i < report->n_steps; i++)
                cover(&all, step_span(steps[i]));
        for (size_t i = 0; i < report->n_trees; i++)
                if (silence(report->trees[i]).length > 0)
                        cover(&all, silence(report->trees[i]));
        d.begin = all.begin;
        d.scale = all.length > 0 ? CHART / all.length : 0;
        return err_pass(draw(&d, report, steps, all));
}
