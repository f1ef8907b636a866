package ui

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// WriteVerification writes what verify has found.
func WriteVerification(w io.Writer, v catalog.Verification) error {
	rows := [][]string{{"RECOVERY POINT", "STATE", "VOLUMES", "VERDICT"}}
	for _, point := range v.Points {
		verdict := "ok"
		if len(point.Problems) > 0 {
			verdict = "DAMAGED"
		}
		rows = append(rows, []string{string(point.ID), string(point.State), strconv.Itoa(point.Volumes), verdict})
	}
	if err := WriteTable(w, rows); err != nil {
		return err
	}
	for _, point := range v.Points {
		for _, problem := range point.Problems {
			fmt.Fprintf(w, "damaged: %s: %s\n", point.ID, Plain(saidOnce(problem)))
		}
	}
	r := v.Repository
	for _, failure := range v.Failures {
		// If a repository snapshot cannot be read, the line about its object already says so.
		told := slices.ContainsFunc(r.Problems, func(p repository.Problem) bool { return strings.Contains(failure, p.Object) })
		if !told || strings.HasPrefix(failure, "recovery point ") {
			fmt.Fprintf(w, "damaged: %s\n", Plain(saidOnce(failure)))
		}
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(w, "damaged: %s: %s\n", problem.Object, Plain(saidOnce(problem.Reason)))
	}
	if r.MoreProblems > 0 {
		fmt.Fprintf(w, "damaged: %d more objects\n", r.MoreProblems)
	}
	fmt.Fprintf(w, "%d repository snapshots, %d directories and %d pieces of files looked up in %d packs; %d packs (%s) read whole\n",
		r.Snapshots, r.Trees, r.Blobs, r.Packs, r.PacksRead, Bytes(r.BytesRead))
	if r.Spare > 0 {
		fmt.Fprintf(
			w,
			"%d packs are missing, but other packs hold every piece of them: nothing is lost; prune removes them from the index\n",
			r.Spare,
		)
	}
	if r.Unindexed > 0 {
		fmt.Fprintf(w, "%d packs are in no index: a running backup has written them, or an interrupted one left them\n", r.Unindexed)
	}
	return nil
}

// saidOnce shortens a text in which the bucket repeats the name of an object that was just named.
func saidOnce(text string) string {
	again := regexp.MustCompile(`\w+ \S*([0-9a-f]{64}) in \S+: `)
	for _, at := range again.FindAllStringSubmatchIndex(text, -1) {
		if strings.Contains(text[:at[0]], text[at[2]:at[3]]) {
			return text[:at[0]] + text[at[1]:]
		}
	}
	return text
}
