package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Options are what a file's meaning depends on besides its text.
type Options struct {
	Set     map[string]string                // --set NAME=value: the strongest
	Env     func(name string) (string, bool) // os.LookupEnv; nil: no environment
	EnvFile map[string]string                // --env-file: the weakest; see ParseEnvFile
	Dir     string                           // relative locations and secret files start here; empty: the working directory
}

// Load reads one file. The pipeline is nil if there are errors among the faults; warnings come with a pipeline.
func Load(path string, c Components, o Options) (*Pipeline, Faults) {
	ps, faults := LoadAll([]string{path}, c, o)
	if len(ps) == 0 {
		return nil, faults
	}
	return ps[0], faults
}

// LoadAll reads files, directories (every *.yaml and *.yml in them) and dir/... (all directories below as well, of which
// files that are no pipeline are left out), and checks the pipelines against each other. It returns those without errors.
func LoadAll(paths []string, c Components, o Options) ([]*Pipeline, Faults) {
	if o.Dir == "" {
		o.Dir, _ = os.Getwd() // then relative paths stay relative
	}
	files, faults := expand(paths)
	used := map[string]bool{}
	var ps []*Pipeline
	for _, f := range files {
		text, err := readFile(f.path)
		if err != nil {
			faults = append(faults, Fault{File: f.path, Code: codeFile, Text: "cannot read the file: " + reason(err)})
			continue
		}
		if f.found && !looksLikePipeline(text) {
			continue
		}
		p, fs := load(f.path, text, c, o, used)
		faults = append(faults, fs...)
		if p != nil {
			ps = append(ps, p)
		}
	}
	faults = append(faults, across(ps)...)
	faults = append(faults, unusedSets(o, used, files)...)
	good := slices.DeleteFunc(slices.Clone(ps), func(p *Pipeline) bool {
		return slices.ContainsFunc(faults, func(f Fault) bool { return f.File == p.File && !f.Warning })
	})
	faults.sort()
	return good, faults
}

// LoadText is Load for text that is in no file; name stands in its faults.
func LoadText(name string, text []byte, c Components, o Options) (*Pipeline, Faults) {
	if o.Dir == "" {
		o.Dir, _ = os.Getwd() // then relative paths stay relative
	}
	p, fs := load(name, text, c, o, map[string]bool{})
	faults := Faults(fs)
	if p != nil {
		faults = append(faults, across([]*Pipeline{p})...)
	}
	faults.sort()
	if faults.Errors() > 0 {
		p = nil
	}
	return p, faults
}

// load reads one pipeline. It is nil if the text is no tree or something is wrong with it.
func load(path string, text []byte, c Components, o Options, used map[string]bool) (*Pipeline, []Fault) {
	l := &loader{file: path, comps: c, opt: o, used: used, named: map[span]bool{}, meant: map[string]bool{}}
	l.setText(string(text))
	root := l.parse(text)
	if root == nil {
		return nil, l.finish()
	}
	p := &Pipeline{File: path}
	l.pipeline(root, p)
	p.hidden = l.secrets
	fs := l.finish()
	if Faults(fs).Errors() > 0 {
		return nil, fs
	}
	return p, fs
}

type found struct {
	path  string
	found bool // by a pattern: need not be a pipeline
}

// expand turns the arguments of a command into files.
func expand(paths []string) ([]found, Faults) {
	var files []found
	var faults Faults
	fail := func(path, text, fix string) {
		faults = append(faults, Fault{File: path, Code: codeFile, Text: text, Fix: fix})
	}
	add := func(path string, byPattern bool) {
		if !slices.ContainsFunc(files, func(f found) bool { return filepath.Clean(f.path) == filepath.Clean(path) }) {
			files = append(files, found{path, byPattern})
		}
	}
	for _, p := range paths {
		dir, recursive := strings.CutSuffix(filepath.ToSlash(p), "/...")
		if p == "..." {
			dir, recursive = ".", true
		}
		if recursive {
			dir = filepath.Clean(dir)
		} else {
			dir = p
		}
		st, err := os.Stat(dir)
		switch {
		case err != nil:
			fail(p, "cannot read it: "+reason(err), "")
			continue
		case !st.IsDir():
			add(p, false)
			continue
		}
		before := len(files)
		if err := walk(dir, recursive, func(path string) { add(path, recursive) }); err != nil {
			fail(p, "cannot read it: "+reason(err), "")
		} else if len(files) == before {
			fail(p, "there is no pipeline here", "a pipeline is a file that ends in .yaml or .yml")
		}
	}
	return files, faults
}

func walk(dir string, recursive bool, add func(string)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path == dir {
				return nil
			}
			if !recursive || name[0] == '.' || name[0] == '_' || name == "testdata" || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); (ext == ".yaml" || ext == ".yml") && name[0] != '.' && !waits(path) {
			add(path)
		}
		return nil
	})
}

// waits tells whether reading path may wait for ever: a pipe, a socket or a device is only read when somebody names it.
func waits(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice) != 0
}

var pipelineKey = regexp.MustCompile(`(?m)^(source|sinks)\s*:`)

// looksLikePipeline keeps chart values and the like out of dir/... without parsing templates.
func looksLikePipeline(text []byte) bool { return pipelineKey.Match(text) }

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Mode().IsRegular() && st.Size() > maxFile {
		return make([]byte, maxFile+1), nil // told as too large, not read
	}
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, err
	}
	defer f.Close()                                 // read only
	return io.ReadAll(io.LimitReader(f, maxFile+1)) // a pipe or a device may have no end
}

// reason is the system's word without the path, which stands in front already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

// unusedSets finds --set NAME=value whose name no file asks for: a slip that would otherwise be silent.
func unusedSets(o Options, used map[string]bool, files []found) Faults {
	var faults Faults
	if len(files) == 0 {
		return nil
	}
	var names []string
	for n := range used {
		names = append(names, n)
	}
	for n := range o.Set {
		if !used[n] {
			faults = append(faults, Fault{File: "--set " + n, Code: codeUnused, Text: "no file uses the variable ${" + n + "}", Fix: didYouMean(n, names)})
		}
	}
	return faults
}
