/* What the pictures of a run over one axis are drawn with: a frame, a grid, bars, labels. On a narrow screen
 * it scrolls: what is printed in it stays legible. */
#ifndef HERDGATE_TOOLS_STRESS_PLOT_H
#define HERDGATE_TOOLS_STRESS_PLOT_H

#include <stdio.h>

enum {
    HGI_PLOT_WIDTH = 960,
    HGI_PLOT_LEFT = 64,
    HGI_PLOT_RIGHT = 948,
    HGI_PLOT_TOP = 16,
    HGI_PLOT_HEIGHT = 150
};

/* label: what it is, for who cannot see it. below: room under the axis, beside that for its labels. */
void hgi_plot_begin(FILE *out, const char *label, int below);
void hgi_plot_end(FILE *out);

/* Lines at round values up to top, which is at the upper edge. */
void hgi_plot_grid(FILE *out, double top);

/* A bar of that style from `from` to `to`, both as shares of the height; title: what it says. */
void hgi_plot_bar(FILE *out, const char *style, double x, double width, double from, double to,
                  const char *title);

/* A label under the axis, kept within the picture. */
void hgi_plot_tick(FILE *out, double x, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Labels in seconds, minutes or hours for an axis of that length. */
void hgi_plot_seconds(FILE *out, double length_s);

#endif
