// Package ui is what stsbackup tells people and programs: results, plans and progress, as text or as JSON.
//
// Every function gets a finished value, a writer, and a clock if it needs one. It decides how to show the value, never
// what to do, so tests can check each sentence and each table without a cluster and without a bucket.
//
//   - Bytes, Duration, Time, Age and similar functions write single values.
//   - Plain and Printable escape what a terminal would obey. Names and messages of pods, buckets and clusters are not ours,
//     so they go through one of the two.
//   - Functions that begin with Write print one result each. Those that take a Format can print JSON for a program.
//   - A Screen is where progress is shown. It draws bars for a person, writes lines to a log, and JSON lines for a program.
package ui
