// Package clock says when backups are due.
//
// A Schedule is five cron fields and a time zone. Beyond cron's parser, it promises that a change of the clocks neither
// loses a backup nor makes it twice. A schedule with given hours follows the clock on the wall: a time that is skipped
// in spring stands for the moment of the change, and a time that comes twice in autumn counts the first time. A
// schedule for every hour follows elapsed time. Next is a pure function of a time.
package clock
