package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/test/bench/measure"
	"github.com/stsbackup/stsbackup/test/bench/report"
)

func walls(seconds ...int) (usages []measure.Usage) {
	for _, s := range seconds {
		usages = append(usages, measure.Usage{Wall: time.Duration(s) * time.Second})
	}
	return usages
}

func TestTypical(t *testing.T) {
	for _, test := range []struct {
		name   string
		rounds []measure.Usage
		want   measure.Usage
	}{
		{"none", nil, measure.Usage{}},
		{"one", walls(7), walls(7)[0]},
		{"odd", walls(9, 1, 2), walls(2)[0]},
		{"even", walls(1, 9, 4, 2), walls(3)[0]},
		{
			"each by itself, memory at its peak",
			[]measure.Usage{{Wall: 1, CPU: 30, RSS: 5, Stored: 2}, {Wall: 2, CPU: 10, RSS: 9, Stored: 3}, {Wall: 3, CPU: 20, RSS: 7, Stored: 1}},
			measure.Usage{Wall: 2, CPU: 20, RSS: 9, Stored: 2},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report.Typical(test.rounds)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRows(t *testing.T) {
	var samples report.Samples
	dir, s3 := report.Key{Place: "dir", Data: "a", Operation: report.Backup}, report.Key{Place: "s3", Data: "a", Operation: report.Backup}
	other := report.Key{Place: "dir", Data: "b", Operation: report.Backup}
	for _, key := range []report.Key{dir, s3, other} {
		for round := range 3 {
			samples.Add(key, "ours", walls(round + 1)[0])
			samples.Add(key, "peer", walls(10 * (round + 1))[0])
		}
	}
	rows := samples.Rows([]string{"ours", "peer"})
	row := func(key report.Key) report.Row {
		return report.Row{
			Key: key, Rounds: 3, Usages: walls(2, 20),
			Fastest: []time.Duration{time.Second, 10 * time.Second}, Slowest: []time.Duration{3 * time.Second, 30 * time.Second},
		}
	}
	want := []report.Row{row(dir), row(other), row(s3)}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if ratio := rows[0].Ratio(1); ratio != 10 {
		t.Errorf("ratio %v", ratio)
	}
}

// verdicts shows bars as short lines.
func verdicts(rows ...report.Row) (lines []string) {
	for _, bar := range report.Bars(rows) {
		verdict := "pass"
		if !bar.Met() {
			verdict = "miss"
		}
		lines = append(lines, verdict+" "+bar.What)
	}
	return lines
}

func TestBars(t *testing.T) {
	const small, large = 50 << 20, 97 << 20
	row := func(data, operation string, rss int64, seconds ...int) report.Row {
		r := report.Row{Key: report.Key{Data: data, Operation: operation}, Usages: walls(seconds...)}
		r.Usages[0].RSS = rss
		return r
	}
	thrifty, wasteful := row(report.Pages, report.Backup, small, 5, 10, 10), row(report.Pages, report.Backup, small, 5, 9, 8)
	for i, stored := range []int64{1020, 1000, 1100} {
		thrifty.Usages[i].Stored, wasteful.Usages[i].Stored = stored, stored+int64(1-min(i, 1))*10
	}
	for name, test := range map[string]struct {
		row  report.Row
		want []string
	}{
		"incompressible": {
			row(report.Incompressible, report.Backup, small, 1, 3, 2),
			[]string{"pass times as fast as restic", "pass times as fast as kopia", "pass MiB of peak memory"},
		},
		"slow, large": {
			row(report.Incompressible, report.Backup, large, 10, 29, 19),
			[]string{"miss times as fast as restic", "miss times as fast as kopia", "miss MiB of peak memory"},
		},
		"pages": {
			thrifty,
			[]string{
				"pass times as fast as restic", "pass times as fast as kopia", "pass times the bytes that the thriftier peer stores",
				"pass MiB of peak memory",
			},
		},
		"pages, wasteful": {
			wasteful,
			[]string{
				"miss times as fast as restic", "miss times as fast as kopia", "miss times the bytes that the thriftier peer stores",
				"pass MiB of peak memory",
			},
		},
		"changed": {
			row(report.Changed, report.Backup, small, 5, 10, 1), []string{"pass times as fast as restic", "pass MiB of peak memory"},
		},
		"unchanged": {
			row(report.Unchanged, report.Backup, small, 5, 9, 1), []string{"miss times as fast as restic", "pass MiB of peak memory"},
		},
		"small files": {
			row(report.SmallFiles, report.Backup, small, 10, 15, 40),
			[]string{"pass times as fast as the faster peer", "pass MiB of peak memory"},
		},
		"one peer is not enough": {
			row(report.SmallFiles, report.Backup, small, 10, 40, 14),
			[]string{"miss times as fast as the faster peer", "pass MiB of peak memory"},
		},
		"replicas": {row(report.Replicas, report.Backup, small, 10, 1, 1), []string{"pass MiB of peak memory"}},
		"restore": {
			row(report.Replicas, report.Restore, small, 10, 14, 20),
			[]string{"miss times as fast as the faster peer", "pass MiB of peak memory"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, verdicts(test.row)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestComparison(t *testing.T) {
	row := report.Row{Key: report.Key{Place: "directory", Data: report.Changed, Operation: report.Backup}, Rounds: 3, Usages: []measure.Usage{
		{Wall: time.Second, CPU: 1500 * time.Millisecond, RSS: 90 << 20, Stored: 3 << 20},
		{Wall: 1900 * time.Millisecond, CPU: 4 * time.Second, RSS: 200 << 20, Stored: 5 << 19},
	}}
	row.Usages = append(row.Usages, row.Usages[1])
	row.Fastest = []time.Duration{900 * time.Millisecond, time.Second, time.Second}
	row.Slowest = []time.Duration{1100 * time.Millisecond, 3 * time.Second, 2 * time.Second}
	single := row
	single.Data, single.Rounds = report.SmallFiles, 1
	about := report.About{
		Machine: "2 cores", Date: time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC),
		Tools: []string{"ours", "one", "two"}, Versions: []string{"v1", "v2", "v3"}, Notes: []string{"A note."},
	}
	text := report.Comparison(about, []report.Row{row, single})
	for _, want := range []string{
		"Measured on 2026-05-04, on 2 cores.", "- one: v2\n", "A note.", "### directory",
		"| data | operation | rounds | wall s: ours / one / two | × one | × two | wall s, least to most | CPU s | × one | × two | peak " +
			"MiB | × " +
			"one | × two | stored MiB | × one | × two |\n" +
			"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
		"| 1 % of pages changed | backup | 3 | 1.00 / 1.90 / 1.90 | 1.9 | 1.9 | 0.90–1.10 / 1.00–3.00 / 1.00–2.00 | 1.50 / 4.00 / 4.00 |" +
			" 2.7 | " +
			"2.7 | 90 / 200 / 200 | 2.2 | 2.2 | 3.0 / 2.5 / 2.5 | 0.8 | 0.8 |\n",
		"| small files | backup | 1 | 1.00 / 1.90 / 1.90 | 1.9 | 1.9 |  | 1.50 / 4.00",
		"3 of 4 are met. 1 are missed.",
		"| **miss** | directory | 1 % of pages changed | backup | 1.90 times as fast as restic | at least 2 |",
		"| pass | directory | 1 % of pages changed | backup | 90.00 MiB of peak memory | at most 96 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestMemory(t *testing.T) {
	row := func(data, operation string, mib int64) report.Row {
		return report.Row{
			Key:    report.Key{Data: data, Operation: operation},
			Usages: []measure.Usage{{Wall: time.Second, CPU: 2 * time.Second, RSS: mib << 20, Stored: 1 << 20}},
		}
	}
	rows := []report.Row{
		row("1 GiB", report.Backup, 72), row("1 GiB", report.Restore, 40),
		row("10 GiB", report.Backup, 90), row("10 GiB", report.Restore, 51), row("many files", report.Backup, 97),
	}
	text := report.Memory(
		report.About{Tools: []string{"ours"}, Versions: []string{"v1"}},
		rows,
		map[string]string{"10 GiB": "1 GiB", "many files": "few files"},
	)
	for _, want := range []string{
		"| pass | 1 GiB | backup | 1.0 | 2.0 | 72 |  | 1.0 |", "| pass | 10 GiB | backup | 1.0 | 2.0 | 90 | 1.25 | 1.0 |",
		"| **miss** | 10 GiB | restore | 1.0 | 2.0 | 51 | 1.27 |", "| **miss** | many files | backup | 1.0 | 2.0 | 97 |  | 1.0 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestReplace(t *testing.T) {
	document := report.Replace("", "One", "first\n### Sub\n")
	if !strings.HasPrefix(document, "# Benchmarks\n") || !strings.HasSuffix(document, "\n\n## One\n\nfirst\n### Sub\n") {
		t.Errorf("new document:\n%s", document)
	}
	head, _, _ := strings.Cut(document, "## One")
	document = report.Replace(document, "Two", "second")
	changed := report.Replace(document, "One", "new")
	if want := strings.Replace(document, "first\n### Sub\n", "new\n", 1); changed != want {
		t.Errorf("got:\n%s\nwant:\n%s", changed, want)
	}
	if again := report.Replace(changed, "Two", "second"); again != changed {
		t.Errorf("the last section is not stable:\n%s", again)
	}
	if renewed := report.Replace(strings.Replace(changed, head, "# Old\n\nwords\n\n", 1), "One", "new"); renewed != changed {
		t.Errorf("the head of the document is not renewed:\n%s", renewed)
	}
}
