// What pytest-html's script does not do: copying, a verdict that ages on the screen, the table by keyboard.
'use strict';
document.querySelectorAll('button.copy').forEach((button) => {
  button.addEventListener('click', async () => {
    const code = button.previousElementSibling;
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch (error) {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand('copy');
    }
    button.textContent = done ? 'Copied' : 'Selected';
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
});

const banner = document.querySelector('[data-expires]');
if (banner) {
  const end = Date.parse(banner.dataset.expires);
  const age = () => {
    const left = end - Date.now();
    if (left > 0) {
      setTimeout(age, Math.min(left + 50, 60000));
      return;
    }
    banner.classList.add('past');
    banner.querySelector('.expired').hidden = false;
  };
  age();
}

document.addEventListener('keydown', (event) => {
  const cell = event.target;
  if ((event.key !== 'Enter' && event.key !== ' ') || !cell.matches('td.col-result, th.sortable')) {
    return;
  }
  event.preventDefault();
  const row = cell.parentElement.dataset.id;
  cell.click();
  // The script draws the table anew, and the focus was in the old one.
  const again = row ? document.querySelector(`tr[data-id="${row}"] td.col-result`) : cell;
  if (again) {
    again.focus();
  }
});
