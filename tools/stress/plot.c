/* Pictures over one axis; see plot.h. */
#include "tools/stress/plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>

#include "tools/common/terminal.h"
#include "tools/stress/page.h"

void hgi_plot_begin(FILE *out, const char *label, int below)
{
    fprintf(out,
            "<div class=\"plot\"><svg class=\"panel\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "aria-label=\"%s\">\n",
            HGI_PLOT_WIDTH, HGI_PLOT_TOP + HGI_PLOT_HEIGHT + 24 + below, label);
}

void hgi_plot_end(FILE *out)
{
    fputs("</svg></div>\n", out);
}

void hgi_plot_grid(FILE *out, double top)
{
    char text[HGI_CELL_SIZE];
    double step = hgi_page_nice_above(top / 5);
    for (unsigned i = 0; i * step <= top; i++) {
        double y = HGI_PLOT_TOP + HGI_PLOT_HEIGHT * (1 - i * step / top);
        fprintf(out,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                HGI_PLOT_LEFT, HGI_PLOT_RIGHT, y, y, HGI_PLOT_LEFT - 6, y + 4,
                hgi_format_count(text, sizeof text, (uint64_t)(i * step)));
    }
}

void hgi_plot_bar(FILE *out, const char *style, double x, double width, double from, double to,
                  const char *title)
{
    fprintf(out,
            "<g><title>%s</title><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
            "height=\"%.1f\"/></g>\n",
            title, style, x, HGI_PLOT_TOP + HGI_PLOT_HEIGHT * (1 - to), fmax(width - 0.8, 0.5),
            HGI_PLOT_HEIGHT * (to - from));
}

void hgi_plot_tick(FILE *out, double x, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", x,
            HGI_PLOT_TOP + HGI_PLOT_HEIGHT + 16, x > HGI_PLOT_RIGHT - 16 ? "end" : "middle");
    vfprintf(out, format, arguments);
    fputs("</text>\n", out);
    va_end(arguments);
}

/* For up to 14 ticks, in steps that people count in: of minutes 5, 15 or 30, of hours 3, 6 or 12. */
static double step_of(double length_s)
{
    static const double steps_s[] = { 60,   120,   300,   900,   1800, 3600,
                                      7200, 10800, 21600, 43200, 86400 };
    if (length_s < 5)
        return 0.5;
    for (size_t i = 0; length_s > 600 && i < sizeof steps_s / sizeof steps_s[0]; i++) {
        if (length_s / steps_s[i] <= 14)
            return steps_s[i];
    }
    return length_s > 600 ? hgi_page_nice_above(length_s / 86400 / 12) * 86400
                          : hgi_page_nice_above(length_s / 12);
}

void hgi_plot_seconds(FILE *out, double length_s)
{
    double step_s = step_of(length_s);
    bool hours = step_s >= 3600;
    for (int i = 0; i * step_s <= length_s; i++) {
        double x = HGI_PLOT_LEFT + (HGI_PLOT_RIGHT - HGI_PLOT_LEFT) * i * step_s / length_s;
        double at_s = i * step_s;
        if (step_s >= 60)
            hgi_plot_tick(out, x, hours ? "%.0f h" : "%.0f min", at_s / (hours ? 3600 : 60));
        else
            hgi_plot_tick(out, x, "%.3g s", at_s);
    }
}
