// Package memory keeps a process within a limit of memory, by deciding when the runtime collects garbage.
//
// The less memory the collector has, the more it costs, because it goes through the live heap each time. With Go's default,
// the heap grows to twice its live part, and a mover's memory is too small for that. With a small percentage instead, a
// backup with a small live heap spends a third of its time in the collector. So there is a limit for the whole memory of a
// mover, and the collector runs as rarely as that limit allows. If the live heap leaves no room below the limit, the
// collector would run all the time; then a percentage does less harm. Keep compares the two for as long as the work lasts.
//
// Commands that go through whole repositories need as much memory as the index takes, which can be any size. For them, Save
// sets only a percentage.
//
// GOGC and GOMEMLIMIT, if the user has set them, stay in force.
package memory
