// Package cli is the command line: one file per verb. Standard output carries data, standard error logs and progress.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/stream"
)

// Exit codes. 130 and 143 follow a signal after a clean drain.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 64
	exitUnreachable = 69
	exitRetry       = 75
	exitDenied      = 77
	exitConfig      = 78
	exitInterrupt   = 130
	exitTerminated  = 143
)

// Env is the world outside, so that tests can give another.
type Env struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// exit is an error with the code to end with. A nil err says nothing more: it has been said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// global is what every verb understands.
type global struct {
	env      Env
	output   string
	color    string
	quiet    bool
	verbose  bool
	set      []string
	envFile  string
	logLevel string
	logForm  string

	screen *screen // standard error; every line but that of the progress goes through it
}

// Main runs one command line and returns the exit code.
func Main(env Env) int {
	g := &global{env: env, screen: newScreen(env.Stderr)}
	root := newRoot(g)
	root.SetArgs(env.Args)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	go interrupts(ctx, stop, g.screen)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return signalled(ctx, exitDone)
	}
	var e *exit
	if !errors.As(err, &e) {
		e = &exit{code: codeOf(err), err: err}
	}
	if e.err != nil {
		fmt.Fprintln(g.screen, paint(g.colours(g.screen), red, "millrace:"), e.err)
		if next := stream.Next(e.err); next != "" {
			fmt.Fprintln(g.screen, "  next:", next)
		}
	}
	return e.code
}

// signalledBy is the cause of a context that a signal has ended.
type signalledBy struct{ os.Signal }

func (s signalledBy) Error() string { return s.String() }

// interrupts ends ctx at the first signal, so that everything drains, and the process at the second. Both lose nothing.
func interrupts(ctx context.Context, stop context.CancelCauseFunc, stderr io.Writer) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(c)
	for n := 1; ; n++ {
		select {
		case s := <-c:
			if n > 1 {
				fmt.Fprintln(stderr, "millrace: second signal, leaving at once; what was not committed is read again")
				os.Exit(signalCode(s)) // a second signal asks for exactly this
			}
			stop(signalledBy{s})
			ctx = context.Background()
		case <-ctx.Done():
			return
		}
	}
}

// signalled is the exit code after a clean drain: that of the signal, if one asked for it.
func signalled(ctx context.Context, code int) int {
	var s signalledBy
	if errors.As(context.Cause(ctx), &s) {
		return signalCode(s.Signal)
	}
	return code
}

func signalCode(s os.Signal) int {
	if s == syscall.SIGINT {
		return exitInterrupt
	}
	return exitTerminated
}

func codeOf(err error) int {
	switch {
	case errors.Is(err, stream.ErrDenied):
		return exitDenied
	case errors.Is(err, stream.ErrUnavailable):
		return exitUnreachable
	case errors.Is(err, stream.ErrUnknown), errors.Is(err, stream.ErrFenced), errors.Is(err, stream.ErrFull):
		return exitRetry
	default:
		return exitFailed
	}
}

func newRoot(g *global) *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Streams into tables, exactly once",
		Long: "millrace reads Kafka topics, transforms their records in micro-batches and publishes partitioned Parquet tables,\n" +
			"on local disk or S3, with the catalog updated, exactly once.\n\nStart with `millrace demo`.",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.twins(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVarP(&g.output, "output", "o", "table", "how data are printed: table, json or jsonl")
	f.StringVar(&g.color, "color", "auto", "colours: auto, always or never (NO_COLOR is honoured)")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "no progress, only warnings and errors")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "log details (the same as --log-level debug)")
	f.StringArrayVar(&g.set, "set", nil, "`NAME=VALUE` for ${NAME} in configurations; may be repeated")
	f.StringVar(&g.envFile, "env-file", "", "`file` of NAME=VALUE lines for ${NAME} in configurations")
	f.StringVar(&g.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&g.logForm, "log-format", "text", "text or json")
	root.AddGroup(
		&cobra.Group{ID: "begin", Title: "Begin here:"}, &cobra.Group{ID: "run", Title: "Run pipelines:"},
		&cobra.Group{ID: "look", Title: "Look at what is committed:"}, &cobra.Group{ID: "more", Title: "More:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("begin", newDemo(g))
	add("run", newRun(g), newValidate(g))
	add("look", newBookmarks(g), newCommits(g))
	add("more", newVersion(g))
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	root.SetIn(g.env.Stdin)
	root.SetOut(g.env.Stdout) // before the completion command is made, which keeps it
	root.SetErr(g.screen)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(helpTemplate())
	for _, c := range g.words() {
		// The error is that of a flag which is not there.
		_ = root.RegisterFlagCompletionFunc(c.flag, cobra.FixedCompletions(strings.Fields(c.words), cobra.ShellCompDirectiveNoFileComp))
	}
	usage(root)
	return root
}

// usage makes wrong arguments end with the code for usage, whatever verb they were given to.
func usage(cmd *cobra.Command) {
	if cmd.HasSubCommands() && cmd.RunE == nil && cmd.Run == nil {
		group(cmd)
	} else if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, a []string) error {
			err := args(c, a)
			var e *exit
			if err != nil && !errors.As(err, &e) {
				return usagef("%w; see `%s --help`", err, c.CommandPath())
			}
			return err
		}
	}
	for _, sub := range cmd.Commands() {
		usage(sub)
	}
}

// logger writes to w as the flags say.
func (g *global) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(g.logLevel)) // checked by twins
	if g.verbose {
		level = slog.LevelDebug
	}
	if g.quiet {
		level = max(level, slog.LevelWarn)
	}
	o := &slog.HandlerOptions{Level: level}
	if g.logForm == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// terminal tells whether w is one.
func terminal(w io.Writer) bool {
	switch w := w.(type) {
	case *screen:
		return w.tty
	case *os.File:
		return term.IsTerminal(int(w.Fd()))
	}
	return false
}

// colours tells whether w gets colours.
func (g *global) colours(w io.Writer) bool {
	switch g.color {
	case "always":
		return true
	case "never":
		return false
	}
	return g.env.Getenv("NO_COLOR") == "" && g.env.Getenv("TERM") != "dumb" && terminal(w)
}
