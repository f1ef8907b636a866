package report

import (
	"fmt"
	"strings"
)

// Titles of the document's sections. Each kind of run writes one section.
const (
	ComparisonTitle = "Comparison"
	MemoryTitle     = "Memory"
)

// preamble is the beginning of an empty document: how to read it.
const preamble = `# Benchmarks

` + "`make bench` and `make bench-memory`" + ` write this page: each replaces its own section with what its last run has measured.

The tools take turns on the same data, in another order in each round, with their own defaults (kopia with the compression
zstd-fastest). Every round has new repositories. Peers are built from their source, with the newest dependencies that both name.
Times are medians of the rounds; where there was more than one, the shortest and the longest stand beside. Ratios say
how many times as much as stsbackup a peer takes of what is on their left (in the medians): more than 1 means that stsbackup is
better. They need a machine that does nothing else, for whoever has more threads gets more of a busy one; CPU seconds and memory are
less touchy. A virtual machine whose host takes unused memory away would make those slower that come after a pause: where the data
is in memory, the benchmark keeps as much free memory as the tools use at a time in pieces too small for the host to take.

- incompressible: one file of noise.
- database pages: one file of pages of 8 KiB, full to nine tenths, with rows of a few numbers, a value of 400 bytes that nothing
  can compress, and a JSON document. 1 % of the pages, here and there, are then changed in place.
- three replicas: three volumes of noise of which 95 % is the same; one backup and one restore each.
- small files: text, in 1,000 directories; measured in the first round only, and saved again without a change.
`

// Replace puts a section into the document: it replaces the section that has this title, or goes to the end. It also
// rewrites the text before the sections.
func Replace(document, title, body string) string {
	sections := ""
	if start := strings.Index(document, "\n## "); start >= 0 {
		sections = document[start:]
	}
	document = preamble + sections
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
