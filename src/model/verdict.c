/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/verdict.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void note_done(VerdictNote *n) {
        free(n->what);
        free(n->text);
        free(n->remedy);
}

void verdict_done(Verdict *v) {
        for (size_t i = 0; i < v->n_notes; i++)
                note_done(v->notes + i);
        free(v->notes);
        *v = (Verdict){0};
}

int verdict_add(Verdict *v, VerdictLevel level, const char *what, const char *remedy, const char *format,
                ...) {
        VerdictNote note = {.level = level};
        va_list ap;
        int r;

        if (v->n_notes >= VERDICT_NOTES_MAX && level <= v->level)
                return 0;
        va_start(ap, format);
        r = vasprintf(&note.text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        text_tame(note.text);
        if (level > v->level)
                v->level = level;
        for (size_t i = 0; i < v->n_notes; i++)
                if (strcmp(v->notes[i].what, what) == 0 && strcmp(v->notes[i].text, note.text) == 0) {
                        note_done(&note);
                        return 0;
                }
        note.what = strdup(what);
        note.remedy = remedy ? strdup(remedy) : NULL;
        r = note.what && (note.remedy || !remedy) ? model_append(v->notes, v->n_notes, note) : -ENOMEM;
        if (r < 0)
                note_done(&note);
        return r;
}

const VerdictNote *verdict_refusal(const Verdict *v) {
        for (size_t i = 0; i < v->n_notes; i++)
                if (v->notes[i].level == VERDICT_REFUSED)
                        return v->notes + i;
        return NULL;
}

bool verdict_has(const Verdict *v, const char *what) {
        for (size_t i = 0; i < v->n_notes; i++)
                if (strcmp(v->notes[i].what, what) == 0)
                        return true;
        return false;
}

const char *verdict_level_text(VerdictLevel level) {
        switch (level) {
        case VERDICT_OK:
                return "ok";
        case VERDICT_DEGRADED:
                return "degraded";
        case VERDICT_REFUSED:
                return "refused";
        }
        return "?";
}
