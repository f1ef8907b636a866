package ui

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// WriteTable writes rows of cells as columns; the first row is the heading.
func WriteTable(w io.Writer, rows [][]string) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(columns, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return columns.Flush()
}

// Plain escapes, as Go does in strings, what a terminal would obey instead of printing. Names of files, and what pods,
// buckets and clusters say, are not ours.
func Plain(text string) string {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// PlainLines is Plain for a text with several lines.
func PlainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Printable returns the name unchanged if a terminal can print it and people can see where it ends; otherwise it
// returns the name quoted as in Go code.
func Printable(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || strings.HasSuffix(name, " ") {
		return quoted
	}
	return name
}
