package builtin

import "regexp/syntax"

// programSize is the number of instructions that an expression compiles to, or
// a large number if it does not.
func programSize(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 1 << 20
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 1 << 20
	}
	return len(prog.Inst)
}
