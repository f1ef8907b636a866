// Package tool knows how each of the compared tools is told to make a repository, to save a volume into it and to
// restore it. It only makes command lines, which others run.
//
// All of them run with their own defaults, with two exceptions for kopia: it is told to compress with zstd-fastest, as
// by default it does not compress at all, and to leave out its maintenance, which for the others is a command of its
// own. What they keep in caches stays below the benchmark's own folder.
package tool
