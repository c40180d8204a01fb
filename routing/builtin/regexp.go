package builtin

import "regexp/syntax"

// uncountable is the size of an expression that does not compile.
const uncountable = 1 << 20

// programSize is the number of instructions that an expression compiles to, or
// uncountable if it does not.
func programSize(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return uncountable
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return uncountable
	}
	return len(prog.Inst)
}
