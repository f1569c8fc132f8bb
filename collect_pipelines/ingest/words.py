"""Words for generated data: questions in six languages, names, places and sentences in five scripts. Data only."""

# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple

from collect_pipelines.model import QuestionType as T

LANGUAGES = ("en", "hi", "ar", "zh", "ru", "es")


class Asked(NamedTuple):
    """A question with its title in every language, in the order of LANGUAGES; options as (id, titles)."""

    id: str
    type: T
    titles: tuple[str, ...]
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    required: bool = False


THEMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("household", ("Household survey", "घरेलू सर्वेक्षण", "استبيان الأسرة", "家庭调查", "Опрос домохозяйств", "Encuesta de hogares")),
    ("water-points", ("Water points", "जल स्रोत", "نقاط المياه", "供水点", "Источники воды", "Puntos de agua")),
    ("clinic-visits", ("Clinic visits", "क्लिनिक भेंट", "زيارات العيادة", "门诊记录", "Визиты в клинику", "Visitas a la clínica")),
    ("market-prices", ("Market prices", "बाज़ार भाव", "أسعار السوق", "市场价格", "Цены на рынке", "Precios de mercado")),
    ("school-meals", ("School meals", "मध्याह्न भोजन", "الوجبات المدرسية", "学校供餐", "Школьное питание", "Comidas escolares")),
    ("crop-yield", ("Crop yield", "फसल उपज", "غلة المحاصيل", "作物产量", "Урожайность", "Rendimiento de cultivos")),
    ("loan-requests", ("Loan requests", "ऋण आवेदन", "طلبات القروض", "贷款申请", "Заявки на кредит", "Solicitudes de crédito")),
    ("satisfaction", ("Customer satisfaction 😀", "ग्राहक संतुष्टि 😀", "رضا العملاء 😀", "客户满意度 😀", "Отзывы клиентов 😀", "Satisfacción 😀")),
)  # fmt: skip

QUESTIONS: tuple[Asked, ...] = (
    Asked("name", T.TEXT, ("Full name", "पूरा नाम", "الاسم الكامل", "姓名", "Полное имя", "Nombre completo"), required=True),
    Asked("age", T.INTEGER, ("Age", "आयु", "العمر", "年龄", "Возраст", "Edad")),
    Asked("phone", T.PHONE, ("Mobile number", "मोबाइल नंबर", "رقم الجوال", "手机号码", "Номер телефона", "Número de móvil")),
    Asked("email", T.EMAIL, ("E-mail", "ईमेल", "البريد الإلكتروني", "电子邮件", "Эл. почта", "Correo electrónico")),
    Asked("income", T.DECIMAL, ("Monthly income", "मासिक आय", "الدخل الشهري", "月收入", "Доход в месяц", "Ingreso mensual")),
    Asked("owns_land", T.BOOLEAN, ("Owns land?", "क्या ज़मीन है?", "هل يملك أرضًا؟", "有土地吗？", "Есть земля?", "¿Tiene tierra?")),
    Asked("visited_on", T.DATE, ("Date of visit", "भेंट की तारीख", "تاريخ الزيارة", "访问日期", "Дата визита", "Fecha de visita"), required=True),
    Asked("measured_at", T.DATETIME, ("Measured at", "मापन का समय", "وقت القياس", "测量时间", "Время замера", "Medido a las")),
    Asked(
        "water_source",
        T.SINGLE_CHOICE,
        ("Main source of water", "पानी का मुख्य स्रोत", "مصدر المياه الرئيسي", "主要水源", "Источник воды", "Fuente de agua"),
        (
            ("tap", ("Tap", "नल", "صنبور", "自来水", "Водопровод", "Grifo")),
            ("well", ("Well", "कुआँ", "بئر", "水井", "Колодец", "Pozo")),
            ("river", ("River", "नदी", "نهر", "河流", "Река", "Río")),
            ("rain", ("Rain", "बारिश", "مطر", "雨水", "Дождь", "Lluvia")),
        ),
    ),
    Asked(
        "crops",
        T.MULTI_CHOICE,
        ("Crops grown", "उगाई गई फसलें", "المحاصيل", "种植作物", "Культуры", "Cultivos"),
        (
            ("rice", ("Rice", "चावल", "أرز", "水稻", "Рис", "Arroz")),
            ("wheat", ("Wheat", "गेहूँ", "قمح", "小麦", "Пшеница", "Trigo")),
            ("maize", ("Maize", "मक्का", "ذرة", "玉米", "Кукуруза", "Maíz")),
            ("beans", ("Beans", "सेम", "فاصوليا", "豆类", "Бобы", "Frijoles")),
        ),
    ),
    Asked("location", T.GEO_POINT, ("Location", "स्थान", "الموقع", "位置", "Местоположение", "Ubicación")),
    Asked("photo", T.FILE, ("Photo", "फ़ोटो", "صورة", "照片", "Фото", "Foto")),
    Asked("rating", T.RATING, ("Overall rating", "कुल मूल्यांकन", "التقييم العام", "总体评分", "Оценка", "Valoración")),
    Asked("members", T.REPEAT_GROUP, ("Household members", "परिवार के सदस्य", "أفراد الأسرة", "家庭成员", "Члены семьи", "Miembros")),
    Asked("remarks", T.TEXT, ("Remarks", "टिप्पणी", "ملاحظات", "备注", "Замечания", "Observaciones")),
    Asked("village", T.TEXT, ("Village or town", "गाँव या शहर", "القرية أو المدينة", "村镇", "Населённый пункт", "Pueblo o ciudad")),
)  # fmt: skip

NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (("Ash", "Misty", "Grace", "Oliver", "Amina", "Zoë", "Liam"), ("Ketchum", "O'Brien", "Smith-Jones", "Okafor", "Lee")),
    "hi": (("अमन", "प्रिया", "राहुल", "सुनीता", "विजय", "मीरा"), ("शर्मा", "वर्मा", "पटेल", "यादव", "सिंह")),
    "ar": (("محمد", "فاطمة", "يوسف", "ليلى", "عمر", "مريم"), ("الحسن", "العلي", "حداد", "منصور", "نجار")),
    "zh": (("王", "李", "张", "刘", "陈", "欧阳"), ("伟", "芳", "秀英", "强", "晓明", "静")),
    "ru": (("Анна", "Иван", "Ольга", "Дмитрий", "Мария", "Пётр"), ("Коваленко", "Шевчук", "Петренко", "Бондарь", "Мельник")),
    "es": (("María", "José", "Íñigo", "Lucía", "Andrés", "Begoña"), ("García", "Núñez", "Muñoz Peña", "López", "Ibáñez")),
}  # fmt: skip

PLACES: dict[str, tuple[str, ...]] = {
    "en": ("Bristol", "Nakuru", "Cox's Bazar", "St. John's", "Accra"),
    "hi": ("जयपुर", "वाराणसी", "पटना", "उदयपुर"),
    "ar": ("القاهرة", "عمّان", "طرابلس", "حلب"),
    "zh": ("成都", "昆明", "西安", "拉萨"),
    "ru": ("Алматы", "Бишкек", "Казань", "Ош"),
    "es": ("Ávila", "Bogotá", "Potosí", "A Coruña"),
}

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "The pump was repaired last week, but the pressure is still low.",
        "Asked to come back after the harvest.",
        'She said: "fine, thanks", and closed the door.',
        "Roof leaks; family of six; nearest road 3 km. 🚧",
    ),
    "hi": ("पानी सुबह केवल एक घंटे आता है।", "फसल इस साल अच्छी है। 🌾", "दोबारा आने को कहा गया।"),
    "ar": ("المضخة لا تعمل منذ أسبوعين.", "طلبوا العودة بعد الحصاد. 🌴", "الطريق مقطوع بسبب المطر."),
    "zh": ("水泵上周修好了，但水压仍然很低。", "他们希望收获之后再来。🌾", "道路因下雨而中断。"),
    "ru": ("Насос починили, но напор слабый.", "Просили приехать после уборки урожая. 🚜", "Дорогу размыло дождём."),
    "es": ("La bomba se arregló, pero la presión sigue baja.", "¿Volverán después de la cosecha? 🌽", "El año pasado llovió más."),
}  # fmt: skip

ZONES = ("Asia/Kolkata", "Africa/Nairobi", "Africa/Cairo", "Asia/Shanghai", "Asia/Almaty", "America/Bogota", "UTC")
DEVICES = ("Android 14; Pixel 7", "Android 11; Redmi 9A", "iPad; iPadOS 18", "Web; Firefox 143")
COLLECTORS = tuple(f"collector-{number:02}" for number in range(1, 25))
PREFIXES = ("+91", "+254", "+20", "+86", "+7", "+57", "0")
