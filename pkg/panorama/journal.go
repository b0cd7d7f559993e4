// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// journalFile is in the project's root while several of its files are replaced.
const journalFile = ".flatten-panorama.json"

const (
	journalVersion = 1
	maxJournal     = 64 << 20 // bytes
)

// journal is a change of several files that takes place as one. It is written
// before the first file is replaced and removed after the last: a run that finds
// one completes it.
//
// Invariant: the text of a change is not what the file has before.
type journal struct {
	Version int      `json:"version"`
	Changes []change `json:"changes"`

	// Remove are files in assets that nothing names after the changes.
	Remove []string `json:"remove"`
}

// change is one file's new text.
type change struct {
	Path   string `json:"path"`   // below the project's root, with slashes
	Before string `json:"before"` // SHA-256 of the bytes to be replaced, empty for no file
	Text   string `json:"text"`
}

// changeable are the files that a journal may name: it could come with a project
// from somebody else.
var changeable = regexp.MustCompile(`^(packages/[^/\\]+/(package|descriptor)\.json|graphs/[^/\\]+/graph\.json)$`)

func newChange(rel string, before, after []byte) change {
	c := change{Path: rel, Text: string(after)}
	if before != nil {
		c.Before = sum(before)
	}
	return c
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// commit makes a change of the project: all of it, or after an error none. What
// became of superseded files is added to r.
func (p *Project) commit(j *journal, r *Result) error {
	if len(j.Changes) == 0 {
		return nil
	}
	old := make([][]byte, len(j.Changes))
	for i, c := range j.Changes {
		var err error
		if old[i], err = p.read(c.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := p.begin(j)
	if err == nil {
		err = p.replace(j)
	}
	if err == nil {
		for _, c := range j.Changes {
			r.Changed = append(r.Changed, p.name(c.Path))
		}
		return p.end(j, r)
	}
	if failed := p.revert(j, old); failed != nil {
		return image.WithHint(fmt.Errorf("%w; nor can it be undone: %v", err, failed),
			"the next run in this project completes it")
	}
	return err
}

// begin writes the journal.
func (p *Project) begin(j *journal) error {
	j.Version = journalVersion
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	if err := p.doing("begin"); err != nil {
		return err
	}
	return p.write(journalFile, append(text, '\n'))
}

// replace replaces the files that do not have their new text yet.
func (p *Project) replace(j *journal) error {
	for _, c := range j.Changes {
		now, err := p.current(c.Path)
		switch {
		case err != nil:
			return err
		case now == sum([]byte(c.Text)):
			continue
		case now != c.Before:
			return fmt.Errorf("%s was changed meanwhile", p.name(c.Path))
		}
		if err := p.doing("replace " + c.Path); err != nil {
			return err
		}
		if err := p.write(c.Path, []byte(c.Text)); err != nil {
			return err
		}
	}
	return nil
}

// revert puts back what a change that failed has replaced, and forgets it.
func (p *Project) revert(j *journal, old [][]byte) error {
	for i, c := range j.Changes {
		now, err := p.current(c.Path)
		switch {
		case err != nil:
			return err
		case now != sum([]byte(c.Text)):
			continue
		case c.Before == "":
			err = remove(p.path(c.Path))
		default:
			err = p.write(c.Path, old[i])
		}
		if err != nil {
			return err
		}
	}
	return p.forget()
}

// end removes what the change has superseded, and the journal.
func (p *Project) end(j *journal, r *Result) error {
	for _, name := range j.Remove {
		file := p.name(assetsDir + "/" + name)
		err := p.doing("remove " + name)
		if err == nil {
			err = os.Remove(p.path(assetsDir + "/" + name))
		}
		switch {
		case err == nil:
			r.Removed = append(r.Removed, file)
		case !errors.Is(err, fs.ErrNotExist):
			r.Notes = append(r.Notes, fmt.Sprintf("%s is superseded and stays: %v", file, reason(err)))
		}
	}
	if err := p.doing("end"); err != nil {
		return err
	}
	return p.forget()
}

// forget removes the journal.
func (p *Project) forget() error {
	if err := remove(p.path(journalFile)); err != nil {
		return fmt.Errorf("removing %s: %w", p.name(journalFile), reason(err))
	}
	return atomicfile.SyncDir(p.Root)
}

// remove removes a file that may be gone already.
func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// doing is where tests interfere.
func (p *Project) doing(action string) error {
	if p.step == nil {
		return nil
	}
	return p.step(action)
}

// write replaces a file of the project, on disk when it returns. A symbolic link
// stays one.
func (p *Project) write(rel string, text []byte) error {
	name := p.path(rel)
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	f, err := atomicfile.Create(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer f.Discard()
	if info, err := os.Stat(name); err == nil {
		if err := f.Resemble(info); err != nil {
			return err
		}
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Commit(filepath.Base(name)); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(name))
}

// current is the SHA-256 of a file of the project, empty when there is none.
func (p *Project) current(rel string) (string, error) {
	text, err := p.read(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return sum(text), nil
}

// complete completes a change that a run was killed in, or forgets it where no
// file was replaced yet. It reports the files of a change that it completed.
func (p *Project) complete() (files []string, err error) {
	text, err := readFile(p.path(journalFile), maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var j journal
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err == nil {
		err = j.check()
	}
	hint := "a run was interrupted here; compare the project with what it should be, then remove the file"
	if err != nil {
		return nil, image.WithHint(fmt.Errorf("reading %s: %w", p.name(journalFile), reason(err)), "%s", hint)
	}
	done, foreign := 0, ""
	for _, c := range j.Changes {
		if err := p.within(c.Path); err != nil {
			return nil, image.WithHint(err, "%s", hint)
		}
		_ = p.writable(path.Dir(c.Path)) // which removes what the run was writing there
		now, err := p.current(c.Path)
		switch {
		case err != nil:
			return nil, err
		case now == sum([]byte(c.Text)):
			done++
		case now != c.Before:
			foreign = c.Path
		}
		files = append(files, p.name(c.Path))
	}
	if done == 0 {
		return nil, p.forget()
	}
	if foreign != "" {
		return nil, image.WithHint(fmt.Errorf("%s was changed since a run was interrupted that was about to replace it; %s has what with",
			p.name(foreign), p.name(journalFile)), "%s", hint)
	}
	if err := p.replace(&j); err != nil {
		return nil, err
	}
	return files, p.end(&j, &Result{})
}

// within accepts a file that is in the project, whatever symbolic links say: a
// journal must not reach out of the project that it came with.
func (p *Project) within(rel string) error {
	root, err := filepath.EvalSymlinks(p.Root)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name("."), reason(err))
	}
	file, err := filepath.EvalSymlinks(p.path(rel))
	if errors.Is(err, fs.ErrNotExist) {
		file, err = filepath.EvalSymlinks(filepath.Dir(p.path(rel)))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(rel), reason(err))
	}
	if below, err := filepath.Rel(root, file); err != nil || !filepath.IsLocal(below) {
		return fmt.Errorf("%s is elsewhere, and %s says that a run was interrupted that replaced it", p.name(rel), p.name(journalFile))
	}
	return nil
}

// check accepts a journal that a run can have written.
func (j *journal) check() error {
	if j.Version != journalVersion {
		return fmt.Errorf("version %d, not %d", j.Version, journalVersion)
	}
	for _, c := range j.Changes {
		if !changeable.MatchString(c.Path) || path.Clean(c.Path) != c.Path {
			return fmt.Errorf("%s is no file that changes", image.Quote(c.Path))
		}
		if _, err := parse(c.Path, []byte(c.Text)); err != nil {
			return err
		}
	}
	for _, name := range j.Remove {
		if !contentName.MatchString(name) {
			return fmt.Errorf("%s is no file to be removed", image.Quote(name))
		}
	}
	return nil
}
