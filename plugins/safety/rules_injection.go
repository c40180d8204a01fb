package safety

const spacedOut = "spaced-out override"

// Parts of the English override rules: an order to drop, filler, what marks the
// instructions as the model's own, and the instructions.
const (
	dropVerb  = `(?:ignore|ignoring|disregard|disregarding|forget|forgetting|bypass|bypassing|discard|neglect|abandon|unlearn|circumvent|scrap|ditch|stop (?:following|obeying)|(?:do not|don.?t|no longer) (?:follow|obey|listen to)|pay no attention to|throw out|throw away|set aside)`
	filler    = `(?:please|kindly|now|just|also|instead|the|my|our|this|that|those|of|and|or|both|set|whole|entire|list|other)`
	ownMark   = `(?:all|aii|any|every|everything|each|your|ur|these|previous|previously|prior|preceding|above|earlier|former|foregoing|initial|original|existing|current|past|old|given|system|safety|developer|hidden|core|built.?in|pre.?programmed|ethical|content)`
	orderNoun = `(?:instruct\w*|prompts?|rules?|guidelines?|directives?|directions?|programming|guardrails?|restrictions?|constraints?|safeguards?|polic(?:y|ies)|orders|commands?|training|conditioning)`
	// others are subjects of whom the same words are reported, not ordered.
	others = `not|never|n.t|cannot|who|drivers?|workers?|people|patients?|users?|employees?|students?|customers?|developers?|engineers?|attackers?|they|he|she|often|sometimes|tend to|why do \w+|anyone|some|\bwe`
	// codeTalk is the context of linters, firewalls and the like, whose rules one
	// may well want to ignore.
	codeTalk = `eslint|\blint|stylelint|pylint|ruff\b|firewall|iptables|nftables|\bcss\b|selector|grammar|gitignore|dockerignore|robots\.txt|crawler|compiler|parser|regexp?|validation rule|tax rule|\bfifa|traffic|referee|tsconfig|makefile|router`
	// devices have a developer mode of their own.
	devices = `android|phone|ios\b|ipad|chrome|extension|tablet|settings|usb|\bdevice|router|windows|xbox|console|firefox|database|firmware|minecraft|\bgame|kubernetes|nginx|flask|django|\bapp\b|\bquest\b|headset|smart ?tv|oculus|vscode|macos`
)

// criticalInjection: one match blocks.
var criticalInjection = []ruleText{
	{
		name:     "override of earlier instructions",
		words:    "ignore ignoring disregard forget bypass discard neglect abandon unlearn circumvent scrap ditch follow following obey obeying listen attention throw aside",
		also:     "instruction instructions instruct prompt prompts rule rules guideline guidelines directive directives programming guardrails restrictions constraints safeguards policy policies orders order commands training conditioning",
		re:       `\b` + dropVerb + `(?: ` + filler + `){0,3} ` + ownMark + `(?: (?:` + filler + `|` + ownMark + `)){0,6} ` + orderNoun + `\b`,
		unless:   codeTalk,
		notAfter: others,
	}, {
		name:     "override of earlier instructions",
		words:    "ignore ignoring disregard forget bypass discard neglect abandon unlearn circumvent scrap ditch follow following obey obeying listen attention throw aside",
		also:     "instruction instructions instruct prompt prompts rule rules guideline guidelines directive directives programming guardrails restrictions constraints safeguards policy policies orders order commands training conditioning",
		re:       `\b` + dropVerb + `(?: \w+){0,3} ` + orderNoun + `(?: \w+){0,3} (?:above|before this|earlier|you (?:were|have been|ve been|have|had been|had|got) ?(?:given|from|told|received|following|programmed|trained)|so far|up to (?:this|now|here)|that came before|of (?:the company|your (?:company|developers?|creators?|makers?|owners?)))`,
		unless:   codeTalk,
		notAfter: others,
	}, {
		name:     "override of earlier instructions",
		words:    "ignore disregard forget",
		also:     "told before above prior previously previous earlier learned trained programmed now far",
		re:       `\b(?:ignore|disregard|forget) (?:everything|anything|all|what|whatever)(?: that)?(?: (?:you (?:were|have been|have|know|ve|learned|was)|i (?:said|told|wrote)|was (?:said|written|told)|has been (?:said|written)|came|is written|written))?(?: \w+){0,3} (?:told|before|above|prior|previously|earlier|learned|trained|programmed|up to now|so far)\b`,
		notAfter: others + `|can|to`,
		unless:   codeTalk,
	}, {
		name:  "override of earlier instructions",
		words: "everything system void null invalid obsolete new",
		also:  "void null invalid obsolete irrelevant fake cancelled canceled says said wants prompt",
		re:    `\b(?:everything|anything|all(?: the)?(?: text| instructions?| rules)?) (?:written |said )?(?:before|above|prior to|preceding) (?:this|here)?(?: \w+)? ?(?:is|was|are|should be) (?:now )?(?:void|null|invalid|obsolete|irrelevant|fake|cancell?ed|a test)|\b(?:ignore|disregard|forget) what(?:ever)? (?:the |your )?(?:system|developers?|admin\w*|company|operator|creators?) (?:says?|said|told|wants?)|\bnew system prompt ?:`,
	}, {
		name:   "override of safety rules",
		words:  "override overriding disable deactivate bypass remove switch turn",
		also:   "safety system content ethical ethics core moderation security alignment",
		re:     `\bsystem override\b|\b(?:override|overriding|disable|deactivate|bypass|turn off|switch off|remove) (?:(?:all|any|of|your|the|its) ){0,3}(?:internal |built.?in |default |ai |openai )?(?:safety|system|content|ethical|ethics|core|moderation|security|alignment) (?:\w+ ){0,2}?(?:instructions?|prompts?|protocols?|rules|guidelines?|filters?|filtering|restrictions|programming|directives?|guardrails?|constraints|checks|polic(?:y|ies))\b`,
		unless: codeTalk + `|langchain|llama.?index|\bsdk\b|how (?:do|can) i|spam|e.?mail|kafka|postgres|` + devices,
	}, {
		name:     "request for the hidden prompt",
		words:    "prompt prompts instructions instruction message rules directives configuration guidelines preprompt",
		also:     "your",
		re:       `\b(?:reveal|show|print|output|repeat|display|leak|disclose|dump|expose|tell|give|what (?:is|are|was|were|does|do)|what s|share|write|recite|quote|summari[sz]e|translate|copy|list|return|paste)(?: \w+){0,5}? your (?:\w+ ){0,3}?(?:system (?:prompt|message|instructions?)|(?:initial|original|hidden|secret|confidential|internal|initial|base|developer|first|underlying|full) (?:prompt|instructions?|message|system prompt|rules|directives?|configuration|guidelines)|pre.?prompt|instructions? (?:verbatim|word for word|above)|exact instructions)`,
		notAfter: `not|never|n.t|when you`,
	}, {
		name:     "request for the hidden prompt",
		words:    "reveal leak disclose dump expose repeat output recite print",
		also:     "prompt instruction instructions above",
		re:       `\b(?:reveal|leak|disclose|dump|expose|repeat|output|recite|print)(?: \w+){0,3}? (?:the|every|all|any|entire)(?: \w+){0,3}? (?:system prompt|hidden (?:prompt|instructions?)|secret (?:prompt|instructions?)|initial (?:prompt|instructions?)|original (?:prompt|instructions?)|(?:text|words|instructions|prompt|content)s? above(?: this)?|instructions verbatim)`,
		notAfter: `not|never|n.t|models?|attackers?`,
	}, {
		name:  "chat-template control tag",
		words: "im start end endoftext eot eom system begin assistant fim user",
		also:  "<|",
		re:    `<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|end_of_turn|fim_[a-z]+|end|start)\|>`,
	}, {
		name:  "chat-template control tag",
		words: "inst sys turn",
		also:  "#",
		re:    `\[/?inst\]|<<?/?sys>>?|<(?:start|end)_of_turn>`,
	}, {
		name:  "unrestricted persona",
		words: "anything",
		also:  "now",
		re:    `\bdo anything now\b`,
	}, {
		name:   "unrestricted persona",
		words:  "dan jailbroken unrestricted unfiltered uncensored amoral stan dude aim evil evilgpt evilbot dev devmode",
		re:     `\b(?:you are (?:now )?(?:going to )?(?:act as |be )?(?:a )?|you will (?:now )?(?:act as|be) |(?:act|behave|respond|answer|reply|speak) (?:only )?(?:as|like) )(?:an? )?(?:dan|stan|dude|aim|evil ?(?:gpt|bot|ai)|dev ?mode|evil confidant|jailbroken(?: \w+)?|(?:unrestricted|unfiltered|uncensored|amoral)(?: \w+)?(?: (?:ai|assistant|model|chatbot|bot|llm|gpt))?)\b|\bdan mode\b`,
		unless: `\bdan is my|brother|colleague|documentary|unrestricted (?:access|free|area|land)|\bband\b`,
	}, {
		name:     "unlocked mode",
		words:    "mode",
		also:     "developer dev debug god admin root sudo unrestricted unfiltered jailbreak maintenance opposite unsafe evil no limits limit dan",
		re:       `\byou are (?:now )?(?:running |operating )?in (?:\w+ )?(?:developer|dev|debug|god|admin|root|sudo|unrestricted|unfiltered|jailbreak|maintenance|opposite|unsafe|no.?limits?) mode|\b(?:enter|entering|activate|enable|switch (?:in)?to|go into|initiate|engage|unlock|turn on) (?:the |your |into )?(?:developer|dev|god|sudo|unrestricted|unfiltered|jailbreak|opposite|evil|no.?limits?) mode|\b(?:developer|god|sudo|jailbreak|unrestricted) mode (?:is )?(?:now )?(?:enabled|activated|active|on|unlocked|engaged|output)\b`,
		unless:   devices,
		notAfter: `cannot|how (?:do|can) i`,
	}, {
		name:     "jailbreak",
		words:    "jailbreak jailbroken jailbreaking",
		re:       `\bjailbreak (?:mode|you|yourself|this (?:ai|model|chat|assistant|bot|llm)|the (?:ai|model|llm|chatbot|assistant|filter)|enabled|activated|successful|command|code|now)\b|\byou (?:are|have been) (?:now )?jailbroken|^\W*(?:\w+ )?jailbreak\W*$`,
		unless:   `iphone|ipad|\bios\b|cydia|warranty|prison|tethered|playstation|nintendo|switch|firestick|` + `researchers|defen[cs]e|mitigat|benchmark|dataset|paper`,
		notAfter: others,
	}, {
		name:   "theft of secrets",
		words:  "api keys passwords credentials private seed conversation chat history system environment secrets access token exfiltrate cookies",
		also:   "send post forward email mail e upload exfiltrate transmit leak append encode include exfil",
		re:     `\b(?:send|post|forward|e?.?mail|upload|exfiltrate|transmit|leak|append|encode|include|exfil)(?: \w+){0,7} (?:api.?keys?|passwords?|credentials|private keys?|seed phrases?|conversation(?: history)?|chat history|system prompt|environment variables?|secrets|access tokens?|cookies|chat log)(?: \w+){0,7}? (?:to|at|in|into) (?:https?\b|(?:the |an? )?attacker|evil|my server|(?:this|the following) (?:url|address|endpoint|e.?mail|webhook|site)|\w+@)`,
		unless: `header|documentation|\bdocs\b|curl|newsletter|reset link`,
	}, {
		name:  spacedOut,
		words: "ignoreall ignoreprevious disregardall forgetall doanythingnow",
		also:  "longword",
		re:    `ignoreallprevious|ignorepreviousinstr|disregardallprevious|forgetallprevious|doanythingnow`,
	}, {
		name:     "override of earlier instructions (Russian)",
		words:    "игнорируй игнорируйте игнорировать проигнорируй забудь забудьте отбрось отмени отмените обойди обращай следуй следуйте пренебреги учитывай соблюдай выполняй",
		also:     "инструкции указания правила команды промпт ограничения установки предписания директивы настройки подсказки было тебе написано",
		re:       `(?:игнорируй|игнорируйте|игнорировать|проигнорируй|проигнорируйте|забудь|забудьте|отбрось|отбросьте|отмени|отмените|обойди|обойдите|пренебреги|не (?:обращай|обращайте) внимания на|не (?:следуй|следуйте|учитывай|соблюдай|выполняй|выполняйте)|больше не (?:следуй|соблюдай))(?: [а-я]+){0,3}? (?:все[хмий]*|всю|любые|любых|твои|твоих|свои|своих|своим|своими|ваши|предыдущ[а-я]+|прошл[а-я]+|прежн[а-я]+|ранее|ранн[а-я]+|вышеуказанн[а-я]+|вышеизложенн[а-я]+|изначальн[а-я]+|системн[а-я]+|исходн[а-я]+|данные тебе)(?: [а-я]+){0,3}? (?:инструкци[а-я]*|указани[а-я]*|правил[а-я]*|команд[а-я]*|промпт[а-я]*|ограничени[а-я]*|установк[а-я]*|предписани[а-я]*|директив[а-я]*|настройк[а-я]*|подсказк[а-я]*)|(?:забудь|забудьте|игнорируй) (?:все|всё),? (?:что|о чем) (?:было|тебе|я|ты|написано)`,
		notAfter: `нельзя|не стоит|водител[а-я]+|пользовател[а-я]+|никогда`,
	}, {
		name:  "request for the hidden prompt (Russian)",
		words: "системный системную системные системное скрытые скрытый изначальные исходные секретные промпт",
		re:    `(?:покажи|раскрой|выведи|напечатай|повтори|сообщи|назови|напиши|выдай|процитируй|расскажи|какой у тебя|какие у тебя)(?:те)?(?: [а-я]+){0,4}? (?:системн[а-я]+ (?:промпт|инструкци|сообщени|подсказк)[а-я]*|(?:сво[а-я]+|тво[а-я]+|ваш[а-я]*) (?:изначальн|скрыт|исходн|секретн|внутренн|системн)[а-я]+ (?:инструкци|промпт|правил|указани|настройк)[а-я]*|скрыт[а-я]+ (?:инструкци|промпт)[а-я]*)`,
	}, {
		name:   "unlocked mode (Russian)",
		words:  "режим режиме джейлбрейк джейлбрейка",
		re:     `(?:включи|активируй|перейди|войди|запусти|ты (?:теперь )?(?:находишься )?в|ты работаешь в)(?:те)?(?: [а-я]+){0,2}? режим[а-я]* (?:разработчика|бога|dan|без ограничений|джейлбрейк[а-я]*|администратора|суперпользователя)|режим (?:разработчика|бога|без ограничений|dan) (?:включен|активирован|активен)|режим джейлбрейк`,
		unless: `андроид|android|телефон|смартфон|браузер|настройк|консол|usb|планшет`,
	}, {
		name:  "override of earlier instructions (Chinese, Japanese)",
		words: "忽略 无视 忽视 忘记 忘掉 理会 遵守 绕过 無視 忘れ 不理 遵循 無効",
		re:    `(?:忽略|无视|忽视|忘记|忘掉|不要理会|不要遵守|不再遵守|不要遵循|绕过|不用理会)[^。!?\n]{0,8}(?:之前|以上|所有|先前|上述|前面|你的|系统|全部|一切|以前|上面|此前|任何)[^。!?\n]{0,10}(?:指令|指示|规则|提示词|提示|设定|限制|命令|要求|内容|说明)|(?:これまで|以前|上記|すべて|全て|前)の?[^。\n]{0,8}(?:指示|命令|ルール|プロンプト|制約|設定)[^。\n]{0,4}(?:無視|忘れ|無効)`,
	}, {
		name:  "request for the hidden prompt (Chinese, Japanese)",
		words: "系统 提示 初始 隐藏 シス 指示",
		re:    `(?:告诉我|显示|输出|打印|重复|透露|泄露|说出|展示|公开)[^。\n]{0,12}(?:系统提示|系统指令|初始指令|隐藏指令|初始提示|系统消息|系统提示词)|(?:システムプロンプト|初期指示|隠された指示)[^。\n]{0,8}(?:表示|見せ|教え|出力|公開)`,
	}, {
		name:     "override of earlier instructions (German)",
		words:    "ignoriere ignoriert vergiss vergessen missachte umgehe befolge",
		also:     "anweisung anweisungen instruktion instruktionen regel regeln befehl befehle vorgaben richtlinien prompt prompts einschrankungen",
		re:       `\b(?:ignorier\w*|vergiss|vergesst|vergessen sie|missachte\w*|umgehe?\w*|befolge (?:nicht|keine))(?: \w+){0,4}? (?:vorherig\w*|vorig\w*|bisherig\w*|fruher\w*|obig\w*|alle|deine|ihre|systems?\w*|vorangegangen\w*)(?: \w+){0,3}? (?:anweisung\w*|instruktion\w*|regeln?|befehle?|vorgaben|richtlinien|prompts?|einschrankungen)\b`,
		notAfter: `nicht|nie|wer|autofahrer|die`,
	}, {
		name:  "override of earlier instructions (Romance languages)",
		words: "ignore ignora ignorez ignorer ignoren ignorad oublie oubliez contourne olvida olvide olvidate olviden descarta omite desobedece dimentica esqueca desconsidere compte abstraction",
		also:  "instructions consignes regles directives instrucciones reglas indicaciones ordenes directrices restricciones istruzioni regole instrucoes regras",
		re:    `\b(?:ignore[rzn]?|ignorad?|oublie[rz]?|(?:ne )?(?:tiens|tenez) (?:pas|aucun) compte|contourne[rz]?|fai(?:s|tes) abstraction|olvida(?:te)?|olviden?|descarta|omite|desobedece|dimentica|esqueca|desconsidere)(?: \w+){0,5}? (?:instructions?|consignes?|regles?|directives?|instrucciones|reglas|indicaciones|ordenes|directrices|restricciones|istruzioni|regole|instrucoes|regras)(?: \w+){0,3}? (?:precedente?s?|precedenti|anterieures?|anteriore?s?|previas|dessus|initiales?|iniciales|iniziali|systeme|sistema|recues?|donnees|dadas|recebidas|arriba|acima)\b|\b(?:ignore[rz]?|ignora|oublie[rz]?|olvida) (?:(?:de )?toute?s? (?:tes|vos|les)|tes|vos|toda?s? (?:tu|sus?|las?)s?|tus|tutte le)(?: \w+)? (?:instructions|consignes|regles|directives|instrucciones|reglas|restricciones|istruzioni)`,
	}, {
		name:  "request for the hidden prompt (German, French, Spanish)",
		words: "system systemprompt systemanweisungen systeme sistema",
		also:  "zeige zeig zeigen verrate gib nenne wiederhole montre affiche revele donne repete montrez affichez revelez muestra muestrame revela dime imprime repite",
		re:    `\b(?:zeige?n?|verrate?n?|gib|nenne|wiederhole)(?: \w+){0,4}? (?:system.?prompts?|systemanweisung\w*|systemnachricht\w*)|\b(?:montre|affiche|revele|donne|repete|montrez|affichez|revelez)(?: \w+){0,5}? (?:prompt|message|instructions?) (?:du |de )?(?:systeme|initiale?s?)|\b(?:muestra|muestrame|revela|dime|imprime|repite)(?: \w+){0,5}? (?:prompt|mensaje|instrucciones?) (?:del? )?(?:sistema|iniciales?)`,
	},
}

// strongInjection: two different ones block.
var strongInjection = []ruleText{
	{
		name:   "act as",
		words:  "act acting behave",
		re:     `\b(?:act|acting|behave) (?:as|like)(?: if (?:you|there)| though you| an?| the| my| root| admin| administrator| system| sudo| two)\b`,
		unless: `(?:act|acting|acts|behave) (?:as|like) (?:an? |the )?(?:\w+ ){0,2}?(?:function|proxy|wrapper|server|client|filter|tool|translator|compiler|interpreter|parser|formatter|validator|converter|calculator|catalyst|buffer|bridge|gateway|cache|barrier|insulator|solvent|json|api|endpoint|router|middleware|reviewer|proofreader|editor|tutor|summari[sz]er|classifier|deterrent|reminder|guide|witness|mentor|mediator|agent for|base|acid|conductor|hub)\b|\bacts\b`,
	}, {
		name:     "pretend",
		words:    "pretend pretending",
		re:       `\bpretend(?:ing)? (?:to be|that you|you|you.re|there (?:is|are) no|like you|as if|this is|we are|i am)\b`,
		notAfter: others + `|children|kids`,
	}, {
		name:   "you are now",
		words:  "now longer",
		also:   "you",
		re:     `\byou (?:are|re) now (?:an?|the|in|my|free|no longer|going to|acting|operating|called|named|under|able|speaking|playing|root|admin\w*|\w+ ?(?:gpt|bot|ai))\b|\byou are no longer (?:an? )?(?:\w+ )?(?:ai|assistant|bound|chatgpt|claude|language|chatbot|model)`,
		unless: `now (?:a |the )?(?:member|customer|subscriber|owner|citizen|father|mother|parent|eligible|registered|subscribed|connected|logged|enrolled|in the (?:queue|waiting|running)|in line)`,
	}, {
		name:  "simulated identity",
		words: "simulate simulating role roleplay roleplaying impersonate persona character",
		re:    `\bsimulat(?:e|ing) (?:being|an? (?:ai|assistant|model|terminal without|person|human|unrestricted)|yourself)|\b(?:let.?s |we (?:will|ll) |start a )?role.?play(?:ing)? (?:as|a|an|where|in which|game|scenario|with)\b|\bimpersonate\b|\b(?:stay|remain|never break|don.?t break|do not break)(?: in)? character\b|\b(?:assume|adopt|take on) the (?:persona|identity|role|character) of`,
	}, {
		name:     "no restrictions",
		words:    "restrictions restricted rules limits limitations filter filters filtering guidelines ethics ethical moral morals censorship uncensored unfiltered unrestricted bound boundaries",
		also:     "without no not never nor free ignore ignoring ignores lacks zero unbound unrestricted unfiltered uncensored",
		re:       `\b(?:without|no|not|never|nor|free (?:of|from)|(?:not|no longer|never|un) ?(?:bound|restricted|limited|constrained) by|ignor\w+|lacks?|zero)(?: (?:any|all|the|your|of|such|moral|legal|usual|typical|more|have|bound|by|its|openai|anthropic|safety|ethical|content)){0,4} (?:restrictions|rules|limits|limitations|filter\w*|guidelines|ethics|ethical (?:\w+ )?\w+|morals?(?: \w+)?|censorship|boundaries|guardrails|content polic\w+)\b|\b(?:unrestricted|unfiltered|uncensored) (?:\w+ )?(?:ai|model|assistant|chatbot|answers?|responses?|mode|version|output)\b`,
		unless:   `spam filter|coffee|water filter|filter coffee|rate limit|free (?:trial|plan|tier)|tariff|trade restrictions|speed limit|dietary|travel restrictions`,
		notAfter: `there (?:are|is)|has`,
	}, {
		name:  "compliance demand",
		words: "refuse refusing decline comply obey answer disclaimers warnings apologize",
		also:  "never not don cannot can must may without comply obey fulfil fulfill every all any anything",
		re:    `\b(?:never|do not|don.?t|cannot|can.?t|must not|may not|without) (?:ever )?(?:refus(?:e|ing)|declin(?:e|ing)|say(?:ing)? no|reject(?:ing)?|apologi[sz]\w+|(?:add|include|give|use)(?:ing)? (?:any )?(?:disclaimers?|warnings?)|warn\w*)\b|\b(?:comply with|obey|fulfil+)(?: \w+)? (?:every|all|any|my)(?: \w+)? (?:requests?|commands?|orders?|instructions?|demands?|words?)|\banswer (?:every|all|any|anything)(?: \w+)?(?: (?:question|request|prompt)s?)? (?:without|regardless|no matter)`,
	}, {
		name:  "forged role",
		words: "system instruction instructions admin developer assistant",
		also:  "#",
		re:    `#{2,} ?(?:system|assistant|new instructions?|instructions? override)\b ?:?|[\[<{(](?:/?system|system_prompt|admin|developer|assistant)(?: \w+)?[\]>})]|(?:^|[\n"'>\]]) ?(?:system|developer|admin) ?(?:message|note|prompt|notice|alert|instruction)?s? ?: ?(?:you|new|from|the user|ignore|override|all|disable|enable|assistant|security|disregard|grant|your|please)`,
	}, {
		name:  "forged boundary",
		words: "end begin beginning start starting",
		also:  "prompt instruction instructions context input conversation document session task",
		re:    `\bend (?:of )?(?:the )?(?:system |previous |user |original |initial )?(?:prompt|instructions?|context|input|conversation|document)\b ?[\]\-=*#>.:)}\n]|\b(?:begin|start)(?:ing)? (?:of )?(?:the )?(?:new|admin|system|real|secret) (?:prompt|instructions?|session|conversation|task)`,
	}, {
		name:  "new instructions",
		words: "instruction instructions prompt directive directives orders order objective task goal job purpose role mission tasks goals jobs roles",
		also:  "new updated real actual revised true important following only",
		re:    `\b(?:new|updated|real|actual|revised|true|important|following) (?:system )?(?:instructions?|prompt|directives?|orders?|objective|task|goal)(?: (?:is|are|from (?:the )?(?:admin\w*|developer|system|owner|openai|anthropic)))? ?: ?|\byour (?:new|only|real|actual|true) (?:task|goal|job|objective|purpose|instructions?|role|mission|directive)s? (?:is|are) (?:now )?(?:to|not|:)`,
	}, {
		name:   "address to the model",
		words:  "ai ais llm llms chatbot language gpt chatgpt claude agent chat automated large",
		also:   "attention note important message instruction instructions dear hey hello if when reading processing parsing summarizing summarising reviewing reads process processes that",
		re:     `\b(?:attention|note (?:to|for)|important(?: \w+)? (?:for|to)|message (?:for|to)|instructions? (?:for|to)|dear|hey|hello) (?:any |all |the )?(?:ai|llm|large language|language|chat|gpt|chatgpt|claude|automated)(?: ?(?:models?|agents?|assistants?|bots?|system|crawler|summari[sz]er|reviewer)s?)?\b ?[:,]|\b(?:if|when) you are an? (?:ai|llm|large language model|language model|ai assistant|ai agent|automated|chatbot)|\b(?:any |all )?(?:ai|llm)s?(?: (?:assistants?|agents?|models?|systems?|tools?))? (?:reading|processing|parsing|summari[sz]ing|reviewing|that reads?|that process(?:es)?) this`,
		unless: `how (?:do|can|to)|tutorial`,
	}, {
		name:  "kept from the user",
		words: "tell telling inform informing mention mentioning reveal revealing show showing alert alerting notify notifying disclose warn warning let",
		also:  "user users human operator",
		re:    `\b(?:do not|don.?t|never|without) (?:tell\w*|inform\w*|mention\w*|reveal\w*|show\w*|alert\w*|notify\w*|disclos\w*|warn\w*|let)(?: (?:this|it|that|any|of|to|the|about|these|instructions?|anything)){0,5} (?:the )?(?:user|users|human|operator)\b`,
	}, {
		name:     "drop the above",
		words:    "ignore disregard forget",
		also:     "above before previous prior preceding earlier conversation context document below instruction instructions instruct prompt prompts rule rules guideline guidelines directive directives programming guardrails restrictions constraints safeguards policy policies orders order commands training conditioning",
		re:       `\b(?:ignore|disregard|forget)(?: [a-z]+){0,5}? (?:above|before this|previous|prior|preceding|earlier|conversation|context|document|below)\b|\b(?:ignore|disregard|forget) (?:(?:the|your|any|all|these) ){1,2}` + orderNoun + `\b`,
		unless:   codeTalk + `|rows?\b|columns?|lines?\b|files?\b|whitespace|e.?mail`,
		notAfter: others,
	}, {
		name:  "decode and obey",
		words: "base64 decode decoded rot13 hex",
		also:  "follow execute obey comply carry do act perform",
		re:    `\b(?:decode|decoded|decrypt|base64.?decode|rot13)(?: \w+){0,10} (?:follow|execute|obey|comply|carry out|do (?:what|as)|act (?:on|upon)|perform)\b`,
	}, {
		name:  "dictated beginning",
		words: "start begin prefix respond reply answer say",
		also:  "sure absolutely course certainly yes hacked pwned understood access jailbroken been",
		re:    `\b(?:start|begin|prefix)(?: \w+)? (?:response|answer|reply|output|message)s? with ?["'“«:]? ?(?:sure|absolutely|of course|certainly|yes|i have been|hacked|pwned|understood)|\b(?:respond|reply|answer|say) (?:only )?(?:with )?["'“«:]? ?(?:pwned|hacked|i have been pwned|access granted|jailbroken|understood i am)`,
	}, {
		name:  "from now on",
		words: "now point moment henceforth hereafter",
		also:  "from henceforth hereafter",
		re:    `\b(?:from now on|from this (?:point|moment)(?: on(?:ward)?| forward)?|henceforth|hereafter),? (?:you|your|act|respond|answer|every|all|ignore|only|the assistant)\b`,
	}, {
		name:  "claimed authority",
		words: "developer administrator admin openai anthropic creator authorized authorised permission clearance",
		also:  "am m speaking your authorized authorised granted approved given permitted instructed authorization authorisation clearance permission the",
		re:    `\b(?:i am|i.m|this is|as|speaking as) (?:your|the|an?|one of your) (?:\w+ )?(?:developers?|creators?|administrator|admin|programmer|owner|engineer (?:at|from) (?:openai|anthropic|google))\b|\b(?:openai|anthropic|your (?:developers?|creators?|owner)|the (?:developers?|administrators?)) (?:has|have) (?:authori[sz]ed|granted|approved|given|permitted|instructed)|\bi (?:have|hold) (?:full |admin |root |security )?(?:authori[sz]ation|clearance|permission)\b`,
	}, {
		name:  "new identity (Russian)",
		words: "теперь притворись притворитесь представь представьте веди действуй отыгрывай отвечай изображай сыграй",
		re:    `ты теперь|теперь ты (?:не |больше |мой |моя |хакер|злой|свобод|без|работаешь|играешь|отвечаешь|dan)|притворись|притворитесь|представь(?:те)? что ты|(?:веди|ведите) себя как|действуй как|отыгрывай|сыграй роль|изображай|отвечай как`,
	}, {
		name:  "no restrictions (Russian)",
		words: "ограничений цензуры фильтров правил запретов этики морали",
		re:    `(?:без|нет|никаких|не имеешь|свободен от|вне)(?: (?:каких|либо|любых|никаких|всяких|больше|моральных|этических|всех|у тебя|и)){0,4} (?:ограничений|цензуры|фильтров|правил|запретов|этики|морали)`,
	}, {
		name:  "compliance demand (Russian)",
		words: "отказывай отказывайся отказываться отказывать нарушая сообщай говори подчиняйся выполняй",
		re:    `(?:никогда не|не смей|нельзя|не) (?:отказыва[а-я]+|сообщай пользователю|говори пользователю|предупреждай)|подчиняйся|выполняй (?:все|любые|мои|каждую)`,
	},
}
