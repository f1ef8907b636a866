// Package report is what an operation says while it works, and to whom: backup and restore use the same words, so that one printer
// can show both.
//
// An operation goes through phases. Each of its volumes goes through stages: it waits for its turn, is captured or prepared, its data
// moves, and it ends as done or failed. Progress says where one volume is, and what holds it up. Apart from that there are notes
// (a wait, something that was cleaned up) and warnings (something that a person should see to).
//
// A Reporter may expect that calls come one at a time. An operation of which several goroutines report wraps its Reporter in Serial.
package report
