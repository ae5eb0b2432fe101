"""Removes destinations and commands from a remote engine's text: links, network paths, domains, IP addresses, "press Win+R".

The text of a ticket can make a model write them. Mail programs and chats turn many of them into links; a network path sends the
reader's Windows credentials to its host. The input is one line in plain characters; all functions take linear time.
"""

from __future__ import annotations

import ipaddress
import re

from aura.ai.text.domains import DOTTED, FILE_ENDINGS, is_domain

LINK, COMMAND = "[link]", "[command]"

#: Schemes that a program handles without two slashes, of IANA's registry and of Windows, macOS and their programs.
_SCHEMES = (
    "about|afp|anydesk|apt|bitcoin|blob|callto|chrome|cid|data|discord|ed2k|ethereum|facetime|feed|file|ftps?|geo|git|gopher|hcp|"
    "https?|intent|ircs?|itms(?:-\\w+)?|jar|javascript|ldaps?|magnet|mailto|maps|market|mhtml|mid|mk|mms|msteams|news|nfs|nntp|"
    "onenote|quickassist|rdp|res|rtmp|rtsp|search|sftp|sgnl|shell|sips?|skype|slack|smb|sms|spotify|ssh|steam|teamviewer|telnet|"
    "tel|tg|thunder|vbscript|viber|vnc|webcal|whatsapp|wss?|xmpp|zoommtg|zoomus|ymsgr"
)
_URI = re.compile(
    # any scheme with slashes; a scheme with a hyphen or plus such as search-ms: and web+x:; the schemes above
    rf"(?<![a-z0-9])(?:[a-z][a-z0-9+.-]{{0,40}}:[/\\]{{2}}\S*|[a-z][a-z0-9]{{0,30}}(?:[+.-][a-z0-9]{{1,30}}){{1,6}}:(?=[^\s:]*[^\s:.,;])(?!\d+\b)\S+"
    rf"|(?:{_SCHEMES}):(?=[^\s:]*\w)\S+)",
    re.IGNORECASE,
)
#: Another word and a colon right before text with signs of a URI; a blank after the colon makes it text.
_MAYBE_URI = re.compile(r"(?<![\w.])([a-z][a-z0-9]{1,30}):(?=[^\s:]*[/\\?%&=@#])", re.IGNORECASE)
_BACKSLASH = "\\\\\u29f5\u2216\uff3c"
_DRIVE_PATH = re.compile(r"(?<![\w])([A-Za-z]:|%\w+%)\\{2,}")
_NETWORK_PATH = re.compile(rf"(?<![{_BACKSLASH}/])[{_BACKSLASH}/]{{2,}}(?=[^\s{_BACKSLASH}/])\S+|[{_BACKSLASH}]{{2,}}")
_WWW = re.compile(r"(?<!\w)www\d?\.\S+", re.IGNORECASE)
#: A path after labels with dots, whether or not they are a domain.
_DOTTED_PATH = re.compile(r"(?<![\w@.-])(?:[\w-]{1,63}\.){1,20}[^\W\d_]{2,24}/\S+")
_TAIL = re.compile(r"(?::\d+)?(?:[/?#\\]\S*)?")
#: "evil[.]example", "evil (dot) com", "evil dot com".
_SPELLED = re.compile(
    r"(?<=\w)(?:\s?[\[({]\s?(?:\.|dot|punkt|point)\s?[\])}]\s?|\s(?:dot|punkt)\s(?=(?:com|net|org|info|io|de|page|top|xyz)\b))(?=\w)",
    re.IGNORECASE,
)
_IPV4 = re.compile(
    r"(?<![\w.])(?:0x[0-9a-f]{1,2}|\d{1,4})(?:\.(?:0x[0-9a-f]{1,2}|\d{1,4})){3}(?:/\d{1,2})?(?![\w]|\.\d)(?::\d+)?(?:/\S*)?",
    re.IGNORECASE,
)
#: A number of four parts after such a word is a version.
_VERSION = re.compile(
    r"(?:\bv(?:er(?:sion)?)?\.?|build|release|firmware|driver|treiber|bios|update|patch)[ :=]{0,2}\Z", re.I
)
_IPV6 = re.compile(
    r"(?<![\w:.])\[?(?=[0-9a-f:.]*:[0-9a-f:.]*:)([0-9a-f:]{2,39}(?:\d+(?:\.\d+){3})?)(?:%\w+)?(?:\](?::\d+)?)?(?![\w:])",
    re.I,
)
#: The beginning of a link or the middle of an address whose rest no pattern above matches.
_OPENING = re.compile(r":/{2}|www\.|@", re.IGNORECASE)

_VERB = (
    r"(?:type|enter|run|execute|paste|open|start|launch|use|copy|press|call|invoke|in|into|via|with|"
    r"tippe\w*|gib|geben|führe\w*|öffne\w*|starte\w*|füge\w*|kopiere\w*|drücke\w*)(?:\s(?:sie|the|a|an|in|ein|den|die|das|as|als|admin\w*|following|command)){0,4}"
)
_ARGUMENTS = r"(?:\.exe)?[\"']?\s+(?:[-/|&<>\"'$({%]|\S*(?:[\\/|@]|\.[a-z]\w+)|\[link)"
#: Programs that need arguments or a verb to be a command, and programs that no requester ever needs.
_SHELLS = (
    r"(?:powershell|pwsh|cmd|curl|wget|bash|zsh|sh|sudo|python3?|perl|ruby|php|ssh|scp|nc|ncat|telnet|ftp|regedit|"
    r"msiexec|schtasks|taskkill|diskpart|rmdir|rm|chmod|chown|crontab|attrib|icacls|takeown|vssadmin|"
    r"bcdedit|iwr|irm|npm|npx|pip3?|brew|apt-get|docker|base64|eval|nslookup|kubectl|choco|winget)"
)
_DANGEROUS = (
    r"(?:mshta|rundll32|regsvr32|certutil|bitsadmin|wscript|cscript|installutil|msbuild|regasm|cmstp|odbcconf|forfiles|hh\.exe|"
    r"osascript|iex|invoke-\w+|start-process|start-bitstransfer|downloadstring|downloadfile|frombase64string|set-executionpolicy|"
    r"add-mppreference|set-mppreference|new-object)"
)
#: Ordinary words that are a command with such arguments alone.
_WORDS = (
    r"(?:(?:net|reg|sc|netsh|wmic)(?:\.exe)?\s(?:use|user|localgroup|share|add|delete|create|import|interface|advfirewall|process)"
    r"|(?:start|format|explorer|del|rd|dd|node|apt)(?:\.exe)?\s(?:[-/]\w|[a-z]:|[\\/]{2}|\[link|https?:))"
)
_COMMANDS = re.compile(
    r"(?<![\w-])(?:"
    # the dialog that runs a command, and a console
    r"(?:win(?:dows)?|⊞|super|cmd|command|⌘)(?:[\s-]?(?:key|taste|logo|button))*[\s]?(?:\+|-|and|und|plus|&)\s?(?:the\s)?(?:[rx]|space|leertaste)(?![\w])"
    r"|(?:win|windows)(?:[\s-]?(?:key|taste|logo))*(?:\s[^.!?\s]{1,12}){0,5}\s[\"']?r(?!\w)"
    r"|(?:the\s)?run[\s-](?:dialog|box|window|prompt)(?!\w)|ausführen[\s-]?(?:dialog|fenster)|(?:open|start|launch)\s(?:a\s|the\s)?(?:terminal|console|shell|command\s(?:prompt|line)|eingabeaufforderung)"
    r"|(?:paste|type|enter|copy|put|kopier\w*|füg\w*|gib|geben|tipp\w*)(?:\s[^\s]{1,30}){0,10}\s(?:in|into|to)\s(?:a\s|the\s|your\s|die\s|den\s|das\s)?(?:terminal|console|command\s(?:prompt|line)|eingabeaufforderung|address\sbar|adressleiste)"
    rf"|{_DANGEROUS}(?![\w-])"
    rf"|{_SHELLS}{_ARGUMENTS}|{_WORDS}"
    rf"|{_VERB}\s[\"'`*]{{0,2}}(?:powershell|pwsh|cmd|curl|wget|bash|sudo|regedit|msiexec|netsh)(?:\.exe)?(?![\w-])"
    r"|\|\s?(?:sudo\s)?(?:ba|z|da|k)?sh(?!\w)|\|\s?(?:iex|python3?|perl|node|cmd|powershell|pwsh)(?!\w)"
    r"|\$\((?=\S)|&&\s?\w|;\s?(?:rm|curl|wget)\s"
    r")[^\n]*?(?=[.!?]\s|$)",
    re.IGNORECASE,
)
#: Signs with which cmd and PowerShell let a word be divided: power^shell.
_DIVIDED = re.compile(r"(?<=\w)[\^`](?=\w)")


def without_commands(text: str) -> str:
    """Return the text with each command to type replaced by [command], up to the end of its sentence."""
    return _COMMANDS.sub(COMMAND, _DIVIDED.sub("", text))


def without_destinations(text: str) -> str:
    """Return the text with links, network paths, domains and IP addresses replaced by [link].

    A domain that is more likely a file or a name keeps its words: backup[.]zip, Microsoft[.]Office.
    """
    text = _SPELLED.sub(".", text)
    text = _URI.sub(LINK, _DRIVE_PATH.sub(r"\1" + "\\\\", text))
    text = _WWW.sub(LINK, _NETWORK_PATH.sub(LINK, text))
    text = _DOTTED_PATH.sub(LINK, text)
    text = _without_domains(text)
    text = _IPV6.sub(lambda found: LINK if _is_ipv6(found[1]) else found[0], text)
    text = _IPV4.sub(lambda found: found[0] if _is_version(found) else LINK, text)
    return _MAYBE_URI.sub(r"\1: ", text)


def without_openings(text: str) -> str:
    """Return the text without beginnings of links and without @."""
    return _OPENING.sub(" ", text)


def _without_domains(text: str) -> str:
    parts: list[str] = []
    at = 0
    for found in DOTTED.finditer(text):
        if found.start() < at or not is_domain(found[0]):
            continue
        parts.append(text[at : found.start()])
        labels = found[0].split(".")
        at = found.end()
        if labels[-1][:1].isupper() and labels[-1][1:].islower() and len(labels) == 2 and labels[0].islower():
            parts.append(". ".join(labels))  # two sentences without a blank between them
        elif labels[-1].lower() in FILE_ENDINGS or found[0].istitle():
            parts.append("[.]".join(labels))
        else:
            parts.append(LINK)
            tail = _TAIL.match(text, at)
            at = tail.end() if tail else at
    return "".join([*parts, text[at:]])


def _is_version(found: re.Match[str]) -> bool:
    numbers = [part for part in re.split(r"[./:]", found[0])[:4] if part.isdigit()]
    if len(numbers) == 4 and max(map(int, numbers)) > 255 and not any(number[0] == "0" != number for number in numbers):
        return True
    return _VERSION.search(found.string, max(0, found.start() - 12), found.start()) is not None


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
