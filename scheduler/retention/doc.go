// Package retention decides which recovery points of a StatefulSet are kept and which are removed, and why.
//
// Decide is one pure function of the recovery points, the rules, the present time and a time zone. Only complete
// recovery points count. Going from the newest to the oldest, the rule "last" keeps the first so many; each calendar
// rule ("daily") keeps the newest one of every calendar period that has one, for so many periods; "within" keeps all
// that are younger than the newest by less than so much. A recovery point is kept if any rule keeps it. Periods without
// a recovery point use nothing up, and "within" counts from the newest recovery point, not from now, so that nothing is
// lost merely because backups have stopped.
//
// What is decided errs on the side of keeping. The newest complete recovery point is never removed. One whose record
// cannot be read, or which is of a time that has not come, is kept and does not count, so that it takes nobody's place:
// rules never keep less because there are fewer to choose from. Incomplete ones, and what interrupted backups have left,
// do not count either; they go when nothing has happened to them for the length of Grace.
package retention
