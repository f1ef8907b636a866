package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileSize is the largest policy file: as large as a ConfigMap can be.
const maxFileSize = 1 << 20

// Load reads and checks the policy file at this path. checkRepository says what is wrong with the URL of a repository
// root; nil accepts any URL. If the file can be read but is wrong, the error is an *Error.
func Load(path string, checkRepository func(url string) error) (*File, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, checkRepository)
}

// Read reads a policy file for Parse: only as much as Parse needs to see that the file is too large.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the policies: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the policies: %w", err)
	}
	return data, nil
}

// Parse reads a policy file. Its errors, of type *Error, refer to the file as name.
func Parse(name string, data []byte, checkRepository func(url string) error) (*File, error) {
	r := &reader{}
	root, ok := r.document(data)
	if !ok {
		return nil, r.failed(name)
	}
	// In a file of another kind or version, everything else would only look wrong.
	if r.header(root); len(r.problems) > 0 {
		return nil, r.failed(name)
	}
	file := r.file(root, checkRepository)
	if err := r.failed(name); err != nil {
		return nil, err
	}
	return file, nil
}

// document finds the only YAML document of a file.
func (r *reader) document(data []byte) (node, bool) {
	fail := func(p Problem) (node, bool) {
		r.problems = append(r.problems, p)
		return node{}, false
	}
	if len(data) > maxFileSize {
		return fail(Problem{Line: 1, Text: "is larger than the 1 MiB that a policy file may have"})
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF) || err == nil && document.Content[0].Tag == "!!null":
		return fail(Problem{Line: 1, Text: "is empty; a policy file begins with apiVersion: " + APIVersion + " and kind: " + Kind})
	case err != nil:
		return fail(explain(data, err))
	}
	if err := decoder.Decode(&more); err == nil {
		return fail(Problem{Line: more.Line, Text: "a second document begins here; put all policies into one"})
	} else if !errors.Is(err, io.EOF) {
		return fail(explain(data, err))
	}
	return node{document.Content[0], ""}, true
}

// explain finds the line and the meaning of a YAML error.
func explain(data []byte, err error) Problem {
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		if indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]; strings.Contains(indent, "\t") {
			return Problem{Line: number, Text: "begins with a tab; YAML takes only spaces there"}
		}
	}
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if parts := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(text); parts != nil {
		line, _ = strconv.Atoi(parts[1])
		text = parts[2]
		if oneLess(text) {
			line++
		}
	}
	return Problem{Line: line, Text: "this is not YAML: " + text}
}

// oneLess reports whether the library's line number for this error is one too small: its parser counts lines from 0,
// its scanner from 1.
func oneLess(text string) bool {
	for _, problem := range []string{
		"did not find expected ',' or", "did not find expected <document start>", "did not find expected node content",
		"did not find expected '-' indicator", "did not find expected key", "found undefined tag handle",
	} {
		if strings.HasPrefix(text, problem) {
			return true
		}
	}
	return false
}

// header checks that this is a policy file of the known version.
func (r *reader) header(root node) {
	if root.Kind != yaml.MappingNode {
		r.fail(root, "must begin with apiVersion: %s and kind: %s, but is %s", APIVersion, Kind, kindOf(root))
		return
	}
	found := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], resolve(root.Content[i+1])
		want := map[string]string{"apiVersion": APIVersion, "kind": Kind}[key.Value]
		if want != "" && value.Value != want {
			r.fail(node{key, key.Value}, "is %.60q, and only %s is known", value.Value, want)
		}
		found[key.Value] = true
	}
	for _, name := range []string{"apiVersion", "kind"} {
		if !found[name] {
			r.fail(root, "%s is missing; a policy file begins with apiVersion: %s and kind: %s", name, APIVersion, Kind)
		}
	}
}
