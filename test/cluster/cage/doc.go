// Package cage runs programs that must not outlive the program that asked for them, whatever ends it.
//
// A build starts compilers, apt starts dpkg; ended with SIGKILL, none of them can end its children. So a copy of
// ourselves runs the program. It is the first process of a new PID namespace and holds one end of a pipe whose other
// end only we hold. When we end, however we end, the kernel closes our end; the copy reads the end of the pipe and
// exits; the kernel then ends every process of its namespace. The same pipe ties the cluster's holder to its starter
// until the cluster is Ready (package cluster).
//
// Without the right to make a PID namespace (not root), the program runs directly.
package cage
