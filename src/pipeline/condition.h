/* SPDX-License-Identifier: Apache-2.0 */
/* Argo's `when`: a condition, after its `{{…}}` were replaced, to true or false.  Pure.
 *
 * The language is the part of govaluate (Argo's evaluator) that conditions use: `"heads" == "heads"`,
 * `5 > 3`, `&&`, `||`, `!`, parentheses, `in ("a", "b")`, `+ - * / %`, quotes of both kinds with
 * backslash escapes, true and false, and words without quotes, which stand for themselves
 * (`heads == heads`).  Words hold letters, digits and '_'; anything else needs quotes, as in Argo.  `==` and
 * `!=` compare values of one type; a number never equals a text ("5" == 5 is false, as in govaluate).
 * `<` and its kin take two numbers or two texts, `+` also joins texts, `&&`, `||` and `!` take truth
 * values.  Regular expressions (`=~`), `? :`, `??` and bit operators are errors.  A quoted date is a text.
 *
 * Threads: none shared.  Blocking: never.
 * Errors: PA_ERROR_INPUT, naming the condition and the place in it.  A `{{` that is left is one.
 * Limits: PA_CONDITION_MAX_BYTES of text, PA_CONDITION_MAX_DEPTH levels of nesting.
 */
#ifndef PA_PIPELINE_CONDITION_H
#define PA_PIPELINE_CONDITION_H

#include <stdbool.h>

struct pa_error;

#define PA_CONDITION_MAX_BYTES (64u << 10)
#define PA_CONDITION_MAX_DEPTH 64

int pa_condition_evaluate(const char *text, bool *ret, struct pa_error *err);

#endif
