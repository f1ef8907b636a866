package archive

import (
	"errors"
	"io/fs"
	"sync"
)

// problems collects what went wrong with single entries, from any goroutine.
type problems struct {
	mu    sync.Mutex
	first []Problem
	count int
}

// maxProblemText bounds each of the two strings of a Problem, in bytes: a result has to fit into a termination message.
const maxProblemText = 160

func (p *problems) add(path string, err error) {
	// The system's own words are enough: the path stands beside them.
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if len(p.first) < MaxProblems {
		p.first = append(p.first, Problem{Path: shortenFront(path), Reason: shorten(err.Error())})
	}
}

// changes collects what others did to files while Backup saved them. Only the walker adds to it.
type changes struct {
	first []Change
	count int
}

func (c *changes) add(path string, kind ChangeKind, detail string) {
	c.count++
	if len(c.first) < MaxProblems {
		c.first = append(c.first, Change{Path: shortenFront(path), Kind: kind, Detail: shorten(detail)})
	}
}

func (p *problems) into(result *Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	result.Problems, result.ProblemCount = p.first, p.count
}

func shorten(s string) string {
	if len(s) > maxProblemText {
		return s[:maxProblemText] + "…"
	}
	return s
}

// shortenFront keeps the end of a path, which says more than its beginning.
func shortenFront(s string) string {
	if len(s) > maxProblemText {
		return "…" + s[len(s)-maxProblemText:]
	}
	return s
}
