// Package report turns measurements into medians, ratios and verdicts, and those into Markdown. It is pure: what was
// measured comes in, text goes out.
package report
