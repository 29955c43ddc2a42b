"""Names for made-up email addresses: frequent ones, in ASCII, from several languages."""

from typing import Final

_FIRST = """
    ada alex amara ana andrea anna ben carla chen chloe clara daniel david diego elena emil emma
    erik eva fatima felix finn grace hana hugo ines ivan jan jana joel jonas julia kai karim lara
    lea leo lena liam lina luca lucia maria marta max mei mia mila nadia nina noah nora omar oscar
    paul petra priya rosa sam sara simon sofia theo tom vera yuki zoe"""
_LAST = """
    ahmed andersen bauer becker berg bianchi brown campbell chen clark costa cruz dubois evans
    fischer fontaine garcia gomez green gruber hall hansen hoffmann ito jansen johnson keller khan
    kim klein kowalski kumar larsen laurent lee lopez martin meyer miller moreau morgan moore novak
    nowak patel perez petrov ricci rivera rossi santos sato schmidt silva singh smith sorensen
    tanaka taylor vogel wagner walker weber wilson wong young"""
FIRST_NAMES: Final = tuple(_FIRST.split())
LAST_NAMES: Final = tuple(_LAST.split())
