package report

import (
	"fmt"
	"strings"
)

// Titles of the document's sections, each of which one kind of run writes.
const (
	ComparisonTitle = "Comparison"
	MemoryTitle     = "Memory"
)

// preamble is what an empty document begins with.
const preamble = `# Benchmarks

` + "`make bench` and `make bench-memory`" + ` write this page: each replaces its own section with what its last run has measured.
`

// Replace puts a section into the document, in place of the one that has that title, or at the end.
func Replace(document, title, body string) string {
	if strings.TrimSpace(document) == "" {
		document = preamble
	}
	section := fmt.Sprintf("## %s\n\n%s", title, strings.TrimSpace(body)+"\n")
	start := strings.Index(document, "\n## "+title+"\n")
	if start < 0 {
		return strings.TrimRight(document, "\n") + "\n\n" + section
	}
	start++
	rest := document[start+len("## "):]
	if end := strings.Index(rest, "\n## "); end >= 0 {
		return document[:start] + section + rest[end:]
	}
	return document[:start] + section
}
