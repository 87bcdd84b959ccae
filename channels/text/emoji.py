"""Slack's `:shortcodes:` → Unicode, without a library: its names are mostly Unicode's own, the rest stand here."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

SHORTCODE = re.compile(r":([a-z0-9_+'\-]+):(?::skin-tone-([2-6]):)?")

_NAMES = """
smile 😄 smiley 😃 grinning 😀 grin 😁 laughing 😆 satisfied 😆 sweat_smile 😅
rolling_on_the_floor_laughing 🤣 rofl 🤣 joy 😂 slightly_smiling_face 🙂 simple_smile 🙂 upside_down_face 🙃
wink 😉 blush 😊 innocent 😇 heart_eyes 😍 star-struck 🤩 kissing_heart 😘 yum 😋 stuck_out_tongue 😛
stuck_out_tongue_winking_eye 😜 zany_face 🤪 hugging_face 🤗 hugs 🤗 face_with_hand_over_mouth 🤭
shushing_face 🤫 thinking_face 🤔 thinking 🤔 zipper_mouth_face 🤐 raised_eyebrow 🤨
face_with_raised_eyebrow 🤨 neutral_face 😐 expressionless 😑 no_mouth 😶 smirk 😏 unamused 😒
face_with_rolling_eyes 🙄 roll_eyes 🙄 grimacing 😬 relieved 😌 pensive 😔 sleepy 😪 sleeping 😴 mask 😷
face_with_thermometer 🤒 nauseated_face 🤢 exploding_head 🤯 partying_face 🥳 sunglasses 😎 nerd_face 🤓
confused 😕 worried 😟 slightly_frowning_face 🙁 white_frowning_face ☹️ frowning 😦 open_mouth 😮 hushed 😯
astonished 😲 flushed 😳 pleading_face 🥺 anguished 😧 fearful 😨 cold_sweat 😰 disappointed_relieved 😥
cry 😢 sob 😭 scream 😱 confounded 😖 persevere 😣 disappointed 😞 sweat 😓 weary 😩 tired_face 😫
yawning_face 🥱 triumph 😤 rage 😡 angry 😠 smiling_imp 😈 skull 💀 poop 💩 hankey 💩 clown_face 🤡 ghost 👻
alien 👽 robot_face 🤖 wave 👋 raised_hand ✋ hand ✋ ok_hand 👌 v ✌️ crossed_fingers 🤞 call_me_hand 🤙
point_left 👈 point_right 👉 point_up_2 👆 point_down 👇 point_up ☝️ +1 👍 thumbsup 👍 -1 👎 thumbsdown 👎
fist ✊ facepunch 👊 punch 👊 clap 👏 raised_hands 🙌 open_hands 👐 handshake 🤝 pray 🙏 muscle 💪
writing_hand ✍️ eyes 👀 eye 👁️ brain 🧠 facepalm 🤦 face_palm 🤦 shrug 🤷 man-shrugging 🤷‍♂️
woman-shrugging 🤷‍♀️ man-facepalming 🤦‍♂️ woman-facepalming 🤦‍♀️ bow 🙇 baby 👶 heart ❤️ orange_heart 🧡
yellow_heart 💛 green_heart 💚 blue_heart 💙 purple_heart 💜 black_heart 🖤 white_heart 🤍 broken_heart 💔
two_hearts 💕 sparkling_heart 💖 heartbeat 💓 cupid 💘 100 💯 anger 💢 boom 💥 collision 💥 dizzy 💫
sweat_drops 💦 dash 💨 speech_balloon 💬 thought_balloon 💭 zzz 💤 tada 🎉 confetti_ball 🎊 balloon 🎈
birthday 🎂 gift 🎁 trophy 🏆 sports_medal 🏅 first_place_medal 🥇 fire 🔥 sparkles ✨ star ⭐ star2 🌟
sunny ☀️ cloud ☁️ rainbow 🌈 umbrella ☔ snowflake ❄️ zap ⚡ ocean 🌊 earth_africa 🌍 earth_americas 🌎
earth_asia 🌏 moon 🌔 sun_with_face 🌞 dog 🐶 cat 🐱 mouse 🐭 hamster 🐹 rabbit 🐰 bear 🐻 panda_face 🐼
tiger 🐯 cow 🐮 pig 🐷 frog 🐸 monkey_face 🐵 see_no_evil 🙈 hear_no_evil 🙉 speak_no_evil 🙊 chicken 🐔
penguin 🐧 bird 🐦 bee 🐝 honeybee 🐝 bug 🐛 horse 🐴 unicorn_face 🦄 rose 🌹 cherry_blossom 🌸 sunflower 🌻
four_leaf_clover 🍀 coffee ☕ tea 🍵 beer 🍺 beers 🍻 wine_glass 🍷 champagne 🍾 cake 🍰 pizza 🍕
hamburger 🍔 fries 🍟 apple 🍎 watermelon 🍉 car 🚗 red_car 🚗 taxi 🚕 bus 🚌 train 🚋 airplane ✈️ rocket 🚀
ship 🚢 bike 🚲 truck 🚚 articulated_lorry 🚛 ambulance 🚑 fire_engine 🚒 house 🏠 office 🏢 hospital 🏥
school 🏫 bank 🏦 iphone 📱 phone ☎️ telephone ☎️ telephone_receiver 📞 computer 💻 desktop_computer 🖥️
keyboard ⌨️ printer 🖨️ camera 📷 movie_camera 🎥 tv 📺 bulb 💡 battery 🔋 electric_plug 🔌 moneybag 💰
dollar 💵 euro 💶 pound 💷 credit_card 💳 receipt 🧾 email 📧 e-mail 📧 envelope ✉️ incoming_envelope 📨
mailbox 📫 package 📦 pencil 📝 memo 📝 pencil2 ✏️ page_facing_up 📄 clipboard 📋 calendar 📆 date 📅
spiral_calendar_pad 🗓️ chart_with_upwards_trend 📈 chart_with_downwards_trend 📉 bar_chart 📊 pushpin 📌
round_pushpin 📍 paperclip 📎 scissors ✂️ lock 🔒 unlock 🔓 key 🔑 mag 🔍 mag_right 🔎 hammer 🔨 wrench 🔧
hammer_and_wrench 🛠️ gear ⚙️ link 🔗 bell 🔔 no_bell 🔕 mega 📣 loudspeaker 📢 hourglass ⌛
hourglass_flowing_sand ⏳ watch ⌚ alarm_clock ⏰ stopwatch ⏱️ white_check_mark ✅ heavy_check_mark ✔️
ballot_box_with_check ☑️ x ❌ heavy_multiplication_x ✖️ negative_squared_cross_mark ❎ warning ⚠️
exclamation ❗ heavy_exclamation_mark ❗ question ❓ grey_question ❔ bangbang ‼️ interrobang ⁉️ no_entry ⛔
no_entry_sign 🚫 octagonal_sign 🛑 rotating_light 🚨 construction 🚧 sos 🆘 ok 🆗 new 🆕 up 🆙 cool 🆒
free 🆓 information_source ℹ️ recycle ♻️ heavy_plus_sign ➕ heavy_minus_sign ➖ arrow_right ➡️ arrow_left ⬅️
arrow_up ⬆️ arrow_down ⬇️ arrow_upper_right ↗️ leftwards_arrow_with_hook ↩️ arrow_right_hook ↪️
arrows_counterclockwise 🔄 repeat 🔁 back 🔙 soon 🔜 top 🔝 end 🔚 on 🔛 red_circle 🔴 large_blue_circle 🔵
large_green_circle 🟢 large_yellow_circle 🟡 large_orange_circle 🟠 white_circle ⚪ black_circle ⚫
large_blue_square 🟦 large_green_square 🟩 large_red_square 🟥 small_red_triangle 🔺 checkered_flag 🏁
triangular_flag_on_post 🚩 waving_white_flag 🏳️ rainbow-flag 🏳️‍🌈 musical_note 🎵 notes 🎶 art 🎨 dart 🎯
game_die 🎲 soccer ⚽ basketball 🏀 running 🏃 runner 🏃 walking 🚶 dancer 💃 man_dancing 🕺 family 👪
one 1️⃣ two 2️⃣ three 3️⃣ four 4️⃣ five 5️⃣ six 6️⃣ seven 7️⃣ eight 8️⃣ nine 9️⃣ zero 0️⃣ hash #️⃣
keycap_ten 🔟 gb 🇬🇧 uk 🇬🇧 us 🇺🇸 de 🇩🇪 fr 🇫🇷 es 🇪🇸 it 🇮🇹 flag-uk 🇬🇧 copyright ©️ registered ®️ tm ™️
"""


def emoji(name: str, skin_tone: str | None = None) -> str | None:
    """The emoji called `name` (without colons), with a skin tone of Slack's "2" to "6"; None for one of a workspace."""
    found = _table().get(name) or _flag(name) or _by_unicode_name(name)
    if found and skin_tone:
        return found.removesuffix("\ufe0f") + chr(0x1F3FB + int(skin_tone) - 2)
    return found


def with_emoji(text: str) -> str:
    """`text` with its known shortcodes replaced."""
    return SHORTCODE.sub(lambda match: emoji(match[1], match[2]) or match[0], text)


def _flag(name: str) -> str | None:
    code = name.removeprefix("flag-") if name.startswith("flag-") else ""
    return "".join(chr(0x1F1E6 + ord(char) - 97) for char in code) if re.fullmatch("[a-z]{2}", code) else None


def _by_unicode_name(name: str) -> str | None:
    words = re.sub("[_-]", " ", name).upper()
    for form in (words, f"{words} FACE", f"{words} SIGN", f"{words} SYMBOL"):
        try:
            char = unicodedata.lookup(form)
        except KeyError:
            continue
        if "\u2600" <= char <= "\u27bf" or "\U0001f000" <= char <= "\U0001faff":
            return char
    return None


@cache
def _table() -> dict[str, str]:
    words = _NAMES.split()
    return dict(zip(words[::2], words[1::2], strict=True))
