// Package tool knows how to tell each of the compared tools to make a repository, to save a volume into it and to
// restore it. It only makes command lines, which others run.
//
// All tools run with their own defaults, with two exceptions for kopia: it compresses with zstd-fastest, because by
// default it does not compress at all, and it leaves out its maintenance, which is a separate command for the others.
// What the tools keep in caches stays below the benchmark's own folder.
package tool
