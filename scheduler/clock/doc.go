// Package clock says when backups are due.
//
// A Schedule is five cron fields and a time zone. What it promises beyond cron's parser is that a change of the
// clocks neither loses a backup nor makes it twice: a schedule with given hours follows the clock on the wall, where
// a time that is skipped in spring stands for the moment of the change, and one that comes twice in autumn counts
// the first time; a schedule for every hour follows the time that passes. Next is a pure function of a time.
package clock
