// Package report defines what an operation says while it works, and to whom. Backup and restore use the same words, so that one printer
// can show both.
//
// An operation goes through phases. Each of its volumes goes through stages: it waits for its turn, is captured or prepared, its data
// moves, and it ends as done or failed. Progress says where one volume is, and what delays it. There are also notes (a wait, something
// that was cleaned up) and warnings (something that a person should deal with).
//
// A Reporter may expect that calls come one at a time. An operation that reports from several goroutines wraps its Reporter in Serial.
package report
