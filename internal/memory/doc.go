// Package memory keeps a process within a bound of memory, by saying when garbage is collected.
//
// Collecting garbage costs the more the less memory it is given: what is live is gone through each time. With Go's default,
// the heap grows to twice of what is live before that is done, which a mover's memory is too small for. With a small
// percentage instead, a backup of which little is live spends a third of its time on it. So what a mover takes is limited as
// a whole, and garbage is collected as seldom as that allows. Where what is live leaves no room below the limit, it would be
// collected all the time; from there on a percentage does less harm. Keep compares the two as long as the work lasts.
//
// Commands that go through whole repositories need as much as the index says, of any size. For them Save sets a percentage
// alone.
//
// What the user has set with GOGC or GOMEMLIMIT stays.
package memory
