// Package retention decides which recovery points of a StatefulSet are kept and which are removed, and why.
//
// Decide is one pure function of the recovery points, the rules, the present time and a time zone. Only complete
// recovery points count. Going from the newest to the oldest, the rule "last" keeps the first N. Each calendar rule
// ("daily") keeps the newest one of every calendar period that has one, for N periods. "within" keeps all that are less
// than the given time older than the newest. A recovery point is kept if any rule keeps it. Periods without a recovery
// point do not count, and "within" counts from the newest recovery point, not from now, so nothing is lost merely
// because backups have stopped.
//
// If in doubt, Decide keeps. It never removes the newest complete recovery point. It keeps one whose record cannot be
// read, or whose time is in the future, and does not count it, so that it takes nobody's place: rules never keep less
// because there are fewer to choose from. Incomplete ones, and what interrupted backups have left, do not count either;
// Decide removes them when nothing has happened to them for the length of Grace.
package retention
