// Package report turns measurements into medians, ratios and verdicts, and those into Markdown. It is pure:
// measurements come in, text goes out.
package report
