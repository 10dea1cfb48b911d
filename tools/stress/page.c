/* The frame of every page; see page.h. */
#include "tools/stress/page.h"

#include <math.h>

/* Blue and orange of Okabe and Ito's palette, which all kinds of colour vision tell apart. */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#5c6670;--rule:#d9dee3;"
    "--good:#0072b2;--wasted:#e8730c;--hatch:#fff;--outage:#e6e8eb;--card:#f5f7f9;--open:#1b1f24;"
    "--on-open:#fff;--closed:#dfeaf2;--half:#e9c46a}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e8ecef;--soft:#9aa5af;"
    "--rule:#30373e;--good:#4aa8e0;--wasted:#f08a2c;--hatch:#14181c;--outage:#272d34;--card:#"
    "1c2228;"
    "--open:#e8ecef;--on-open:#14181c;--closed:#22384a;--half:#b58a1f}}\n"
    "@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--good:#0072b2;"
    "--wasted:#e8730c;--hatch:#fff;--outage:#e6e8eb;--card:#fff;--open:#000;--on-open:#fff;"
    "--closed:#e8eff5;--half:#e9c46a}body{print-color-adjust:exact;-webkit-print-color-adjust:"
    "exact}"
    ".panel,table,.tiles{break-inside:avoid}}\n"
    "body{margin:0 auto;padding:28px 24px 48px;max-width:1000px;background:var(--paper);"
    "color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',"
    "sans-serif}\n"
    "h1{font-size:26px;line-height:1.25;margin:2px 0 6px;text-wrap:balance}"
    "h2{font-size:17px;margin:34px 0 6px}"
    "p{margin:6px 0}.over{color:var(--soft);font-size:13px;letter-spacing:.02em}"
    ".soft,dd{color:var(--soft)}code{font:13px ui-monospace,'DejaVu Sans Mono',monospace;"
    "overflow-wrap:anywhere}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;"
    "margin:18px 0 8px}"
    ".tile{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px}"
    ".tile b{display:block;font-size:28px;line-height:1.2;font-variant-numeric:tabular-nums}"
    ".tile span{color:var(--soft);font-size:13px}\n"
    ".key{display:flex;gap:20px;flex-wrap:wrap;font-size:13px;color:var(--soft);margin:4px 0 0}"
    ".key svg{vertical-align:-2px;margin-right:6px}\n"
    "svg text{font-family:inherit;fill:var(--ink)}.panel{display:block;width:100%;height:auto}"
    "@media screen and (max-width:720px){.plot{overflow-x:auto}.plot .panel{width:720px}}"
    ".name{font-size:17px;font-weight:700}.what{font-size:13px;font-weight:400;fill:var(--soft)}"
    "svg .tick,svg .what{fill:var(--soft)}.tick{font-size:11px}.small{font-size:12.5px}"
    ".big{font-size:26px;font-weight:700}"
    ".halo{paint-order:stroke;stroke:var(--outage);stroke-width:4px;stroke-linejoin:round}"
    ".back+.halo,.panel .paper{stroke:var(--paper)}"
    ".good{fill:var(--good)}.wasted{fill:var(--wasted)}.hatch{stroke:var(--hatch);stroke-width:1.6;"
    "opacity:.55}.outage{fill:var(--outage)}.grid{stroke:var(--rule);stroke-width:1}"
    ".back{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:2 3}"
    ".capacity{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:8 5}"
    ".goodput{fill:none;stroke:var(--ink);stroke-width:2}.goodput.under{stroke:var(--paper);"
    "stroke-width:4.5}.outcome{font-size:13.5px;font-weight:600}"
    "svg .well{fill:var(--good);font-size:16px}svg .ill{fill:var(--wasted);font-size:16px}"
    ".doubt{border-left:4px solid var(--wasted);padding:2px 12px;margin:10px 0;font-weight:600}"
    ".lead{font-size:16px;max-width:75ch}"
    ".open{fill:var(--open)}.half{fill:var(--half)}.closed{fill:var(--closed)}"
    ".on-open,.on-half,.on-closed{font-size:11px}svg .on-open{fill:var(--on-open)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:6px 9px;text-align:right;border-bottom:1px solid var(--rule)}"
    "td{white-space:nowrap}"
    "th{color:var(--soft);font-weight:500;vertical-align:bottom}"
    "th:first-child,td:first-child{text-align:left;font-weight:600}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;font-size:13.5px}"
    "dt{font-weight:600}dd{margin:0}\n"
    /* On paper nothing scrolls. */
    "@media print{body{max-width:none;padding:0}.wide,.plot{overflow:visible}"
    "table{font-size:9.5px}th,td{padding:4px 4px}h2{break-after:avoid}"
    ".tiles{grid-template-columns:repeat(4,1fr);gap:8px}.tile{padding:8px 10px}"
    ".tile b{font-size:20px}.tile span,dl{font-size:11px}code{font-size:10px}}\n";

void hgi_html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default: /* a control character is not allowed in a page */
            fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, out);
        }
    }
}

void hgi_page_begin(FILE *out, const char *title)
{
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n",
            title, style);
}

bool hgi_page_end(FILE *out, struct hgi_problem *problem)
{
    fputs("</body>\n</html>\n", out);
    return !ferror(out) || hgi_problem_set(problem, "cannot write the report");
}

void hgi_page_tile(FILE *out, const char *figure, const char *text)
{
    fprintf(out, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", figure, text);
}

double hgi_page_nice_above(double value)
{
    double power = pow(10, floor(log10(value > 1 ? value : 1)));
    static const double steps[] = { 1, 2, 5, 10 };
    for (int i = 0; i < 4; i++) {
        if (steps[i] * power >= value)
            return steps[i] * power;
    }
    return value;
}
