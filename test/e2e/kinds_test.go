//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Extended attributes as GNU tar writes them into a pax header.
const (
	fileCapability = "SCHILY.xattr.security.capability"
	userAttribute  = "SCHILY.xattr.user.comment"
	accessList     = "SCHILY.acl.access"
	defaultList    = "SCHILY.acl.default"
)

// kinds are entries for which the right to read and write other users' files is not enough: a mover needs something for
// each of them that only root has.
func kinds() []tar.Header {
	const (
		netBind = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service=ep
		acl     = "user::rwx\nuser:4321:r-x\ngroup::r-x\nmask::rwx\nother::---\n"
	)
	return []tar.Header{
		{Name: "kinds/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "kinds/block", Typeflag: tar.TypeBlock, Mode: 0o660, Gid: 6, Devmajor: 7, Devminor: 200},
		{Name: "kinds/capable", Typeflag: tar.TypeReg, Mode: 0o755, Uid: 1234, Gid: 5678, PAXRecords: map[string]string{fileCapability: netBind}},
		{Name: "kinds/commented", Typeflag: tar.TypeReg, Mode: 0o600, PAXRecords: map[string]string{userAttribute: "a \x00 value"}},
		{Name: "kinds/hard", Typeflag: tar.TypeLink, Linkname: "kinds/capable", Mode: 0o755, Uid: 1234, Gid: 5678},
		{
			Name:       "kinds/listed/",
			Typeflag:   tar.TypeDir,
			Mode:       0o770,
			Uid:        33,
			Gid:        33,
			PAXRecords: map[string]string{accessList: acl, defaultList: acl},
		},
		{Name: "kinds/listed/file", Typeflag: tar.TypeReg, Mode: 0o770, Uid: 999, Gid: 999, PAXRecords: map[string]string{accessList: acl}},
		{Name: "kinds/null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
		{Name: "kinds/pipe", Typeflag: tar.TypeFifo, Mode: 0o640, Uid: 70},
		{Name: "kinds/setuid", Typeflag: tar.TypeReg, Mode: 0o6755, Uid: 1234, Gid: 5678},
	}
}

// writeKinds puts one of each kind into a pod's volume, and a file with a hole, and checks that they are there: the
// pod's own tar judges, before and after. Its image must have GNU tar.
func (s *scenario) writeKinds(pod string) string {
	s.t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, header := range kinds() {
		header.Format, header.ModTime = tar.FormatPAX, time.Unix(1_600_000_000, 123_456_789)
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(header.Name))
		}
		if err := w.WriteHeader(&header); err != nil {
			s.t.Fatal(err)
		}
		if _, err := io.WriteString(w, header.Name[:header.Size]); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	want := s.describe(archive.String())
	if _, err := s.KubectlInput(
		s.ctx,
		archive.String(),
		"--namespace",
		s.Namespace,
		"exec",
		"--stdin",
		pod,
		"--",
		"tar",
		"--extract",
		"--preserve-permissions",
		"--numeric-owner",
		"--xattrs",
		"--xattrs-include=*",
		"--acls",
		"-C",
		"/data",
		"-f",
		"-",
	); err != nil {
		s.t.Fatal(err)
	}
	if got := s.readKinds(pod); got != want {
		s.t.Fatalf("tar has made\n%s\nof\n%s", got, want)
	}
	s.exec(
		pod,
		"cd /data/kinds; truncate -s 32M sparse; echo island | dd of=sparse bs=1 seek=20M conv=notrunc; touch -d '2021-03-04 05:06:07' sparse "+
			".; sync",
	)
	all := s.readKinds(pod)
	if !strings.Contains(all, "holes") {
		s.t.Fatalf("no hole in\n%s", all)
	}
	return all
}

// readKinds describes everything that writeKinds has made.
func (s *scenario) readKinds(pod string) string {
	s.t.Helper()
	return s.describe(s.exec(pod, `tar --create --format=posix --pax-option=delete=atime,delete=ctime --sort=name --numeric-owner \
  --xattrs --xattrs-include='*' --acls --sparse -C /data -f - kinds`))
}

// describe lists what is in a tar archive, one line for each entry.
func (s *scenario) describe(archive string) string {
	s.t.Helper()
	var text strings.Builder
	for r := tar.NewReader(strings.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			s.t.Fatal(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, r); err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %c %04o %d:%d %d:%d %q %s %d %x", header.Name, header.Typeflag, header.Mode, header.Uid, header.Gid,
			header.Devmajor, header.Devminor, header.Linkname, header.ModTime.UTC().Format(time.RFC3339Nano), header.Size, hash.Sum(nil)[:4])
		for _, key := range []string{fileCapability, userAttribute, accessList, defaultList} {
			if value, found := header.PAXRecords[key]; found {
				fmt.Fprintf(&text, " %s=%q", key, strings.TrimSpace(value))
			}
		}
		if header.PAXRecords["GNU.sparse.major"] != "" {
			text.WriteString(" with holes")
		}
		text.WriteString("\n")
	}
}
