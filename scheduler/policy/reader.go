package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stsbackup/stsbackup/internal/nearest"
)

// Error holds all errors in a policy file, with a line for each.
type Error struct {
	File     string
	Problems []Problem
}

// Problem is one error in a policy file.
type Problem struct {
	// Line counts from 1.
	Line int
	// Text says where in the structure of the file the problem is, what is wrong, and what would be right.
	Text string
}

// Error returns a line "FILE:LINE: TEXT" for every problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", e.File, p.Line, p.Text))
	}
	return strings.Join(lines, "\n")
}

// reader collects problems while it walks the YAML tree.
type reader struct {
	problems []Problem
}

// node is a place in the YAML tree and its name: policies[0].schedule.
type node struct {
	*yaml.Node
	path string
}

// field is a field that a mapping can have.
type field struct {
	name     string
	required bool
	read     func(node)
}

// fail records a problem with a node.
func (r *reader) fail(n node, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n.path != "" {
		text = n.path + ": " + text
	}
	r.problems = append(r.problems, Problem{Line: max(n.Line, 1), Text: text})
}

// failed returns the error for a file, nil if nothing is wrong.
func (r *reader) failed(file string) error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return &Error{File: file, Problems: r.problems}
}

// mapping reads a mapping with these fields and no others.
func (r *reader) mapping(n node, fields ...field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "must have fields (%s), but is %s", strings.Join(names, ", "), kindOf(n))
		return
	}
	seen := r.fields(n, func(key string, child node) {
		if i := slices.Index(names, key); i >= 0 {
			fields[i].read(child)
			return
		}
		unknown := node{child.Node, n.path}
		if near := nearest.Name(key, names); near != "" {
			r.fail(unknown, "unknown field %.60q; did you mean %q?", key, near)
		} else {
			r.fail(unknown, "unknown field %.60q; there are %s", key, strings.Join(names, ", "))
		}
	})
	for _, f := range fields {
		if f.required && !seen[f.name] {
			r.fail(n, "%s is missing", f.name)
		}
	}
}

// fields walks a mapping with any fields, and returns their names. It reports fields without a value, and repeated
// fields: both are probably mistakes.
func (r *reader) fields(n node, read func(key string, child node)) map[string]bool {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], *resolve(n.Content[i+1])
		path := key.Value
		if n.path != "" {
			path = n.path + "." + key.Value
		}
		value.Line = key.Line // even if an anchor defines the value elsewhere
		child := node{&value, path}
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fail(node{key, n.path}, "the name of a field must be text, not %s", kindOf(node{key, ""}))
		case seen[key.Value]:
			r.fail(node{key, path}, "is given twice")
		case value.Tag == "!!null":
			r.fail(child, "has no value")
		default:
			read(key.Value, child)
		}
		seen[key.Value] = true
	}
	return seen
}

// resolve follows an alias to the node that it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// list reads each item of a list, which must not be empty.
func (r *reader) list(n node, read func(node)) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "must be a list, but is %s", kindOf(n))
		return
	}
	if len(n.Content) == 0 {
		r.fail(n, "is an empty list; leave it out, or write at least one item")
	}
	for i, item := range n.Content {
		at := *resolve(item)
		at.Line = item.Line
		read(node{&at, fmt.Sprintf("%s[%d]", n.path, i)})
	}
}

// scalar returns the text of a single value of any type.
func (r *reader) scalar(n node) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.fail(n, "must be a single value, but is %s", kindOf(n))
		return "", false
	}
	return n.Value, true
}

// text returns a value that is text. If YAML takes a text for something else, it must be in quotes, as everywhere in
// Kubernetes.
func (r *reader) text(n node) (string, bool) {
	value, ok := r.scalar(n)
	if ok && n.Tag != "!!str" {
		r.fail(n, "must be text, but is %s; write it in quotes: %q", kindOf(n), value)
		return "", false
	}
	return value, ok
}

// number returns a whole number that is not below least.
func (r *reader) number(n node, least int) int {
	value, ok := r.scalar(n)
	if !ok {
		return least
	}
	number, err := strconv.Atoi(value)
	if err != nil || n.Tag != "!!int" || number < least {
		r.fail(n, "must be a whole number of at least %d, but is %.60q", least, value)
		return least
	}
	return number
}

// boolean returns true or false.
func (r *reader) boolean(n node) bool {
	value, ok := r.scalar(n)
	if ok && value != "true" && value != "false" {
		r.fail(n, "must be true or false, but is %.60q", value)
	}
	return value == "true"
}

// duration returns a duration that is longer than 0.
func (r *reader) duration(n node) time.Duration {
	value, ok := r.scalar(n)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		r.fail(n, "%.60q is not a duration; write hours, minutes and seconds, such as 90s, 15m or 1h30m", value)
		return 0
	}
	return d
}

// kindOf says what a node is, for people.
func kindOf(n node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool":
		return "true or false"
	case n.Tag == "!!timestamp":
		return "a date"
	default:
		return "text"
	}
}
