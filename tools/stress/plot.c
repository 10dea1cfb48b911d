/* Pictures over one axis; see plot.h. */
#include "tools/stress/plot.h"

#include <math.h>
#include <stdarg.h>

#include "tools/common/terminal.h"
#include "tools/stress/page.h"

void hgi_plot_begin(FILE *out, const char *label, int below)
{
    fprintf(out, "<svg class=\"panel\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
            HGI_PLOT_WIDTH, HGI_PLOT_TOP + HGI_PLOT_HEIGHT + 24 + below, label);
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

void hgi_plot_seconds(FILE *out, double length_s)
{
    double step_s = length_s < 5 ? 0.5 : hgi_page_nice_above(length_s / 12);
    for (int i = 0; i * step_s <= length_s; i++)
        hgi_plot_tick(out, HGI_PLOT_LEFT + (HGI_PLOT_RIGHT - HGI_PLOT_LEFT) * i * step_s / length_s,
                      "%.3g s", i * step_s);
}
