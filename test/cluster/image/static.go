package image

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Static makes an image of one static binary, which is its entrypoint.
func Static(architecture, path, binary, user string, more func(*Tree) error) (v1.Image, error) {
	tree := NewTree()
	if err := tree.Copy(path, 0o755, binary); err != nil {
		return nil, err
	}
	if more != nil {
		if err := more(tree); err != nil {
			return nil, err
		}
	}
	built, err := Layer(tree)
	if err != nil {
		return nil, err
	}
	return Build(v1.Config{Entrypoint: []string{path}, User: user, Env: []string{searchPath}}, architecture, built)
}

// Busybox makes an image of the host's static busybox, with a link for each of its tools.
func Busybox(architecture, binary string) (v1.Image, error) {
	out, err := exec.Command(binary, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("list the tools of %s: %w", binary, err)
	}
	tree := NewTree()
	tree.UserLinks()
	if err := tree.Copy("bin/busybox", 0o755, binary); err != nil {
		return nil, err
	}
	for tool := range bytes.Lines(out) {
		if tool := strings.TrimSpace(string(tool)); tool != "" && tool != "busybox" {
			tree.Link("bin/"+tool, "busybox")
		}
	}
	tree.File("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
	tree.File("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	for _, dir := range []string{"dev", "proc", "sys", "root", "home", "run", "data"} {
		tree.Dir(dir, 0o755)
	}
	tree.Dir("tmp", 0o1777)
	tree.Dir("var", 0o755)
	tree.Link("var/run", "../run")
	built, err := Layer(tree)
	if err != nil {
		return nil, err
	}
	return Build(v1.Config{Cmd: []string{"sh"}, Env: []string{searchPath}}, architecture, built)
}
