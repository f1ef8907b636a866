package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/measure"
)

// About says where the measurement took place, and with which tools.
type About struct {
	// Machine describes the machine, Date is the day.
	Machine string
	Date    time.Time
	// Tools are the names of the tools, ours first, Versions what the tools say about themselves.
	Tools, Versions []string
	// Notes are sentences about the run.
	Notes []string
}

// Comparison is the report on a comparison of tools, as Markdown.
func Comparison(about About, rows []Row) string {
	var text strings.Builder
	about.write(&text)
	place := ""
	for _, row := range rows {
		if row.Place != place {
			place = row.Place
			fmt.Fprintf(&text, "\n### %s\n\n", place)
			names := strings.Join(about.Tools, " / ")
			heads := ratioHeads(about.Tools)
			fmt.Fprintf(
				&text,
				"| data | operation | rounds | wall s: %s |%s wall s, least to most | CPU s |%s peak MiB |%s stored MiB |%s\n",
				names,
				heads,
				heads,
				heads,
				heads,
			)
			ratios := strings.Repeat("---|", len(about.Tools)-1)
			fmt.Fprintf(&text, "|---|---|---|---|%[1]s---|---|%[1]s---|%[1]s---|%[1]s\n", ratios)
		}
		wall, cpu := func(u measure.Usage) time.Duration { return u.Wall }, func(u measure.Usage) time.Duration { return u.CPU }
		memory, stored := func(u measure.Usage) int64 { return u.RSS }, func(u measure.Usage) int64 { return u.Stored }
		fmt.Fprintf(&text, "| %s | %s | %d | %s |%s", row.Data, row.Operation, row.Rounds, row.each(seconds(wall)), ratios(row, wall))
		fmt.Fprintf(&text, " %s | %s |%s", row.spread(), row.each(seconds(cpu)), ratios(row, cpu))
		fmt.Fprintf(&text, " %s |%s", row.each(func(u measure.Usage) string { return fmt.Sprintf("%.0f", mib(u.RSS)) }), ratios(row, memory))
		fmt.Fprintf(&text, " %s |%s\n", row.storedText(), ratios(row, stored))
	}
	writeBars(&text, Bars(rows))
	return text.String()
}

func (a About) write(text *strings.Builder) {
	fmt.Fprintf(text, "Measured on %s, on %s.\n\n", a.Date.UTC().Format(time.DateOnly), a.Machine)
	for i, tool := range a.Tools {
		fmt.Fprintf(text, "- %s: %s\n", tool, a.Versions[i])
	}
	if len(a.Notes) > 0 {
		fmt.Fprintf(text, "\n%s\n", strings.Join(a.Notes, "\n"))
	}
}

func ratioHeads(tools []string) string {
	var heads strings.Builder
	for _, peer := range tools[1:] {
		fmt.Fprintf(&heads, " × %s |", peer)
	}
	return heads.String()
}

// ratios says how many times as much of a quantity each peer uses as ours; nothing if ours, or the peer's, is almost
// zero.
func ratios[T ~int64](r Row, of func(measure.Usage) T) string {
	const least = 1 << 20 // a millisecond, or a MiB
	var shown strings.Builder
	for _, peer := range r.Usages[1:] {
		if own, other := of(r.Usages[0]), of(peer); own < least || other < least {
			shown.WriteString(" |")
		} else {
			fmt.Fprintf(&shown, " %.1f |", float64(other)/float64(own))
		}
	}
	return shown.String()
}

// each shows one quantity of all tools.
func (r Row) each(show func(measure.Usage) string) string {
	var shown []string
	for _, usage := range r.Usages {
		shown = append(shown, show(usage))
	}
	return strings.Join(shown, " / ")
}

// spread shows how much the rounds differed; nothing if there was a single one.
func (r Row) spread() string {
	if r.Rounds < 2 {
		return ""
	}
	var shown []string
	for i := range r.Usages {
		shown = append(shown, fmt.Sprintf("%.2f–%.2f", r.Fastest[i].Seconds(), r.Slowest[i].Seconds()))
	}
	return strings.Join(shown, " / ")
}

func seconds(of func(measure.Usage) time.Duration) func(measure.Usage) string {
	return func(u measure.Usage) string { return fmt.Sprintf("%.2f", of(u).Seconds()) }
}

func (r Row) storedText() string {
	if r.Operation == Restore {
		return ""
	}
	return r.each(func(u measure.Usage) string { return fmt.Sprintf("%.1f", mib(u.Stored)) })
}

func writeBars(text *strings.Builder, bars []Bar) {
	missed := 0
	for _, bar := range bars {
		if !bar.Met() {
			missed++
		}
	}
	fmt.Fprintf(text, "\n### Bars\n\n%d of %d are met.", len(bars)-missed, len(bars))
	if missed > 0 {
		fmt.Fprintf(text, " %d are missed.", missed)
	}
	text.WriteString("\n\n| | repository | data | operation | measured | bar |\n|---|---|---|---|---|---|\n")
	for _, bar := range bars {
		verdict, limit := "pass", "at least"
		if !bar.Met() {
			verdict = "**miss**"
		}
		if bar.AtMost {
			limit = "at most"
		}
		fmt.Fprintf(
			text,
			"| %s | %s | %s | %s | %.2f %s | %s %.4g |\n",
			verdict,
			bar.Place,
			bar.Data,
			bar.Operation,
			bar.Got,
			bar.What,
			limit,
			bar.Need,
		)
	}
}

// Memory is the report on how memory depends on the size of the volume, as Markdown. Rows have one usage each; for some
// data sets, smaller names the data set that is a tenth as large.
func Memory(about About, rows []Row, smaller map[string]string) string {
	var text strings.Builder
	about.write(&text)
	text.WriteString(
		"\n| | data | operation | wall s | CPU s | peak MiB | × a tenth of the volume | stored MiB |\n|---|---|---|---|---|---|---|---|\n",
	)
	peaks := map[Key]int64{}
	for _, row := range rows {
		usage, verdict, growth := row.Usages[ours], "pass", ""
		peaks[row.Key] = usage.RSS
		grown := 0.0
		if peak := peaks[Key{Place: row.Place, Data: smaller[row.Data], Operation: row.Operation}]; peak > 0 {
			grown = float64(usage.RSS) / float64(peak)
			growth = fmt.Sprintf("%.2f", grown)
		}
		if usage.RSS > MemoryLimit || grown > growthLimit {
			verdict = "**miss**"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %.1f | %.1f | %.0f | %s | %s |\n", verdict, row.Data, row.Operation,
			usage.Wall.Seconds(), usage.CPU.Seconds(), mib(usage.RSS), growth, row.storedText())
	}
	fmt.Fprintf(
		&text,
		"\nThe bars are %d MiB in every row, and %.4g times as much as what a volume of a tenth of the size takes where that fills what\n"+
			"the program keeps in memory: the buffers, and the latest entries of the index. The older ones go to a temporary file.\n",
		MemoryLimit>>20,
		growthLimit,
	)
	return text.String()
}
