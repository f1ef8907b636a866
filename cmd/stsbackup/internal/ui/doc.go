// Package ui is what stsbackup says to people and programs: results, plans and progress, as text or as JSON.
//
// Everything here is handed a value that is finished, a writer, and a clock where one is needed. It decides how the value
// is said, never what is done, so that each sentence and each table can be tested without a cluster and without a bucket.
//
//   - Bytes, Duration, Time, Age and their like write single values.
//   - Plain and Printable show what a terminal would obey. Names and messages of pods, buckets and clusters are not ours,
//     so they go through one of the two.
//   - Functions that begin with Write print one result each. Those that take a Format print JSON for a program.
//   - A Screen is where progress is shown. It draws bars for a person, writes lines to a log, and JSON lines for a program.
package ui
